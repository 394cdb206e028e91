"""Data sets: their rules, their preparation, and transforms."""
