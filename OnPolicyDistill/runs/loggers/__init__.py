"""Other programs that draw a run's curves: each is told by a process of its own, behind a queue."""
