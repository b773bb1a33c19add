"""`make chaos`: the whole road under load while faults are thrown in, and a checker of what the clients saw."""
