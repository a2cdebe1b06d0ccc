"""One machine: the runner that starts the whole system, and the stand-ins for what the platform does in a cluster."""
