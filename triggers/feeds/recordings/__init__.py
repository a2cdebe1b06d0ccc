"""Reading recorded market data: which layout a file has is seen in its content, not only in its name."""
