"""The legacy API on Aurora MySQL."""
