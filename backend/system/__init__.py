"""This machine: memory, disk, and whether there is room to work."""
