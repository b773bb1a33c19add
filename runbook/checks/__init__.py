"""Checks: one file for each place that is looked at, and `plans`, which says when each check is made."""
