"""Distil a large local language model into a small one on one Mac: library and command."""
