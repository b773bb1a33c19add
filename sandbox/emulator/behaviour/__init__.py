"""Where MiniStack differs from AWS, one difference a file."""
