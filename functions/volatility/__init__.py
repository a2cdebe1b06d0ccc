"""Volatility of one pair and timeframe: by closes, by ranges, weighted, and realised from the minutes of a day."""
