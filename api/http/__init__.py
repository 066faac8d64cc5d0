"""HTTP before any meaning: what a request may look like, and how every answer, refusal and log line looks."""
