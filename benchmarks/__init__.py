"""The benchmark suite: ratios measured in one interleaved run.

OpenBLAS has to be there before any module of the suite imports MLX, or the figures on a Linux CPU
are those of a reference BLAS.
"""

import OnPolicyDistill.arrays  # noqa: F401
