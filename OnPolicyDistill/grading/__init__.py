"""Grades of completions: given by code, from words alone."""
