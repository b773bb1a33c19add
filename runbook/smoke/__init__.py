"""`runbook smoke`: tests both systems and the bridge with records of its own, and removes them."""
