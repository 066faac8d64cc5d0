"""Commands as they are called, without a process each."""
