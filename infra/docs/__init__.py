"""Pages about the system, and what writes those that are made of declarations."""
