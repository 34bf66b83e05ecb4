"""Sweeps: many trials, one table."""
