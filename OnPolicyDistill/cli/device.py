"""Loading MLX late, so that commands without models start at once."""

from __future__ import annotations


def load_mlx() -> None:
    """Load MLX behind OpenBLAS; to be called before anything else imports it."""
    import OnPolicyDistill.arrays  # noqa: F401
