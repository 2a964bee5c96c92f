"""Vision adapter surgery: a projector learns, and then it is asked with and without thinking."""
