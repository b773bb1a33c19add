"""What the bridge needs in the legacy database."""
