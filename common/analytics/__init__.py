"""What the calculators share: the table of metrics, their windows, the form of a document, the function around one."""
