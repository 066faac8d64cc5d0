"""The demo: an organisation pushed through the same doors as any other, edited, and asked what it was."""
