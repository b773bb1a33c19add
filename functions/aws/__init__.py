"""The functions' way to AWS: the Data API, the quarantine, their settings."""
