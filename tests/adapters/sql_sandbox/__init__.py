"""The sandbox for SQL."""
