"""Serves stored market data over HTTP: candles, trades, order books, funding rates, tickers, mark prices."""
