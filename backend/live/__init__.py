"""Websockets: runs and the workspace, followed from files."""
