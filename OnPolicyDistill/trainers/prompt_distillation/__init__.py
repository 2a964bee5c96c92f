"""Prompt distillation: its inputs and its three stages, a file each."""
