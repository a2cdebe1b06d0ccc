"""The contract: rows of market data, documents, jobs, events of our own. One model, one name, one place."""
