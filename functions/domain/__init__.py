"""Pure code: mapping and changes, without AWS."""
