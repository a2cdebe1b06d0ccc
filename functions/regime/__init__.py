"""Market regime of a pair and timeframe: rules over volatility, volume and trend, with and without hysteresis."""
