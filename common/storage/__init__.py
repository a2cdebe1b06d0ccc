"""Stores behind ports. Only this package knows a database; ``common.storage.open`` chooses the adapters."""
