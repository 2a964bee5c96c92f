"""The frozen policy that grades: scoring and its byte-bounded cache."""
