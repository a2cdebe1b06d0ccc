"""INTERIM."""
class Schedule:
    @classmethod
    def parse(cls, a, b): return cls()
