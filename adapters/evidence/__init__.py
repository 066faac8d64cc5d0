"""Evidence as it is kept: trees in memory, tag counts, the deployment's log, its signatures, and its witnesses."""
