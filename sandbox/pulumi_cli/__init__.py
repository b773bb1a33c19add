"""Runs the program through Pulumi's own engine: its CLI, its state, and a provider over the sandbox's handlers."""
