"""The modern API on DynamoDB."""
