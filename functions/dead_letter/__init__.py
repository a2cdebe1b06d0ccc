"""Keeps what could not be processed: whole events that the Broker gave up, and messages that the bridge rejected."""
