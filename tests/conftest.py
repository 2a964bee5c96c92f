"""Tests run the real code on tiny models; OpenBLAS is loaded before anything imports MLX."""

import OnPolicyDistill.arrays  # noqa: F401
