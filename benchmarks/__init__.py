"""The benchmark suite: ratios measured in one interleaved run."""
