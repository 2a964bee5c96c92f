"""Runs as zip files, out and safely in."""
