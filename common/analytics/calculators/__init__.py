"""One declaration for each calculator: its metric, what it reads, and what every field of its documents says."""
