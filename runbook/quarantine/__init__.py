"""The quarantine: entries, where they are stored, and how they are resolved."""
