"""The processes that host functions, and the single origin in front of them."""
