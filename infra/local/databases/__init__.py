"""The database servers of one machine: which programs there are, how they are started, and whether one answers."""
