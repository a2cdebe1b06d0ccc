"""The wire: Binance's event kinds and the producer's envelope, as msgspec structs for the hot path."""
