"""The embedded task and pair: built here, and the demo that distils them."""
