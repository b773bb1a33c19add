"""Verify: compares both sides, fully or by what changed."""
