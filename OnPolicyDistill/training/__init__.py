"""What every method's loop has in common: a run's work, a student that learns, rows, reports."""
