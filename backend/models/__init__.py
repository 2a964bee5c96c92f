"""Models on this machine and on the hub: listing, fitting, deleting, searching."""
