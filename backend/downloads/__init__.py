"""Downloads from the hub, each in a process of its own that outlives the backend."""
