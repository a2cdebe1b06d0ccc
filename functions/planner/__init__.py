"""Turns a cron tick into the due slots of its schedule, and each slot into one event per job, pair and timeframe."""
