"""What the operator runs: migrates an API from Aurora MySQL to DynamoDB, and rolls back."""
