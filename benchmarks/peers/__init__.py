"""A step of ours against what users would pick instead, each in an environment of its own."""
