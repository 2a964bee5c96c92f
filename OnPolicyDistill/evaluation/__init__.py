"""Held-out measurements."""
