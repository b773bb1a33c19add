"""The checks: one file per place that is looked at, and the plans that put them together."""
