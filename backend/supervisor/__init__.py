"""The one GPU slot, its queue, and the explanation of every death."""
