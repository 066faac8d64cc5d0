"""Sinks: where a tenant's events are streamed to, in order and by the batch, and what becomes of the streaming."""
