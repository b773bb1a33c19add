"""The pure heart: mapping and changes, without AWS."""
