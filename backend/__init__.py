"""The FastAPI application over run folders; it never loads MLX."""
