"""One warm generation process: who may use it, what it is asked, and when its memory goes back."""
