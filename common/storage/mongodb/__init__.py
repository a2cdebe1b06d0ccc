"""Market data, analytics and dead letters in MongoDB: one collection per symbol and kind (spec/storage.md §2)."""
