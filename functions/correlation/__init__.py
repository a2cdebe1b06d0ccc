"""Correlation of all pairs with each other and with the benchmark, and what the market as a whole does."""
