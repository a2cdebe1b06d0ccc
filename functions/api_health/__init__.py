"""Serves the state of the system: the service's name, probes, health scores, dead letters."""
