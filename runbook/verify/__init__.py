"""Verify: compares both sides, whole or by what changed."""
