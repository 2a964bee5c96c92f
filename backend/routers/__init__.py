"""HTTP routes, one module a resource; no logic."""
