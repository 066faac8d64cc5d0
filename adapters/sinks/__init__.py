"""Sinks: a tenant's events streamed to where others watch over them, in order and by the batch."""
