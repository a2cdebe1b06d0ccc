"""What is said when no program of a database server can be had."""

from common.errors import ConfigurationError


class DatabaseMissing(ConfigurationError):
    """A database server cannot be had on this machine; the text names the reason and the missing step."""
