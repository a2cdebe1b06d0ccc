"""The PingSources of one machine: their schedules, and the events that they send."""
