"""Deletes what is older than its configured age, in small steps, on its schedule."""
