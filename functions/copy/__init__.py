"""Copy: writes what legacy's writers changed, and at first everything there is, from Aurora to DynamoDB."""
