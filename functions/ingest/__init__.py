"""Stores market data: a batch of raw messages in, rows and dead letters committed together."""
