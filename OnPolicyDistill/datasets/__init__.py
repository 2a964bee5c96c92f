"""Prompt sets, conversations, and the linter."""
