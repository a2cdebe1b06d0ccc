"""Producers of market data for one machine: recorded files played again, and a simulated market."""
