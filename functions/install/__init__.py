"""What streamback adds to the legacy databases, and how it is removed."""
