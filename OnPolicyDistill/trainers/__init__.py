"""One file a method, one loop a file."""
