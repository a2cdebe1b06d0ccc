"""Deviation of one pair and timeframe: where the price stands among its last closes, and how its returns are shaped."""
