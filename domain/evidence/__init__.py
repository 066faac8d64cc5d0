"""Evidence: trees of hashes, signed notes, and bundles that prove an event to whoever holds a public key."""
