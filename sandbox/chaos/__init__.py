"""`make chaos`: the complete migration under load while faults are injected, and a checker of what the clients saw."""
