"""Cutover, rollback and complete: their steps, the fence, reads by percentage."""
