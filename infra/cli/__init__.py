"""The command line, ``petrosa``. Heavy modules load inside the command that needs them."""
