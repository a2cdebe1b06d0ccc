"""Market regime of one pair and timeframe as a hidden Markov model finds it: states of volatility, filtered."""
