"""Exports: students written for other programs, and sent to the hub, by processes of their own."""
