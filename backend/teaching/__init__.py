"""A teacher behind HTTP: the one place where FastAPI and MLX meet (docs/decisions/0027)."""
