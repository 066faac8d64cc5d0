"""A whole node, started as anybody starts it, and the clients that people really use."""
