"""The public contract: what was released stays as it is, and what comes can be read beside it."""
