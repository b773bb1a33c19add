"""The legacy API on Aurora MySQL, and the bridge that is its writer."""
