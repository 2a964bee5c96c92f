"""The blocks of a run's config: every setting once, with its default and a description."""
