"""A simulated market: five pairs whose prices, trades, books and candles follow from a seed and the time, nothing else.

Every value is a function of (seed, pair, time). A simulation that is started again, with whatever clock, continues the
same market, and two of them agree wherever they overlap.
"""
