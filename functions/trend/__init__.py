"""Trend of one pair and timeframe: averages, crossovers, momentum, directional movement, and beta to the benchmark."""
