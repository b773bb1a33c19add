"""The gate: in front of public writes while the source of truth changes."""
