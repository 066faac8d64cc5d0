"""The embedded log: its sequencer, its index, its keyring, and what happens to it when things go wrong."""
