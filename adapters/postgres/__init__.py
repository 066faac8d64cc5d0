"""Stored views in PostgreSQL: temporal tables, written set-wise by the projector, read as of any moment."""
