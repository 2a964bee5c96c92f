"""What is known of runs: folded logs, metric pyramids, and the index that can be rebuilt."""
