"""Logs and traces. Metrics stand where they are counted, on prometheus-client's default registry."""
