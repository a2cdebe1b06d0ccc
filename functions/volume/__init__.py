"""Volume of one pair and timeframe: how much, by whom, how unusual, and how far it moved the price."""
