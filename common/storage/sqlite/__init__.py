"""Market data and analytics in one SQLite file: the store of a single machine, with nothing to install."""
