"""What the operator runs: the road from the old system to the new one, and back."""
