"""The manual generation loop and its sampling."""
