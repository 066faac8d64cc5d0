"""The protocols, over HTTP, on a real node."""
