"""The embedded log: one SQLite file that is the ledger of a node of its own."""
