"""Seasonality of one pair and timeframe: what repeats by hour and weekday, and the cycles in its spectrum."""
