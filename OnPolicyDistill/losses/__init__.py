"""Divergences and the terms beside them: arrays in, arrays out."""
