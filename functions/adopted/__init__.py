"""Whether what `runbook adopt` has changed is still so: the comparisons, and the function that publishes them."""
