"""What the functions share: the contract (models, events, wire), the stores behind ports, the function host."""
