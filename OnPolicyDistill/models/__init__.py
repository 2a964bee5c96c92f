"""Policies: loading, hidden states, embedded models."""
