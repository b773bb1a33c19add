"""The journal: phases, locks, operations and the records that survive a crash."""
