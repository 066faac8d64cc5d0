"""Given these events, these are the rows."""
