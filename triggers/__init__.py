"""What sets the functions going: the bridge from NATS, the schedules, and the feeds."""
