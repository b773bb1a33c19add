"""The HTTP contract that both systems speak."""
