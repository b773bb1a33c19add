"""The bridge: applies DynamoDB's stream to Aurora, and replays quarantined changes."""
