"""Calls to AWS: the Data API, DynamoDB, the quarantine table, and retrying."""
