"""What only makes MiniStack fast."""
