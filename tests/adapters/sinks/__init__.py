"""Sinks: what they send, against real servers and stand-ins that hold to what the real ones document."""
