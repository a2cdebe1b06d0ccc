"""Spread of one pair: what its newest order book asks for trading at once, and how that book came about."""
