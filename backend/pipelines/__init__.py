"""Pipelines as the screen shows them, and their processes."""
