"""Tells an address of the user's choice that a run has ended; off unless one is set."""
