"""Market data, analytics and dead letters in MongoDB: one collection per symbol and kind (design.md, "Stores")."""
