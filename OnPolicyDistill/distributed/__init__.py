"""Several processes that train one student: which this is, and what they say."""
