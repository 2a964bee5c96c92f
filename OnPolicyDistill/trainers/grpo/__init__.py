"""Group-relative policy optimization: the loop, and what a step of it is made of."""
