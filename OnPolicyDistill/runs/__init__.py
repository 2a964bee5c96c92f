"""A run is a folder: events, metrics, checkpoints."""
