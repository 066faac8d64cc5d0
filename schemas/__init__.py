"""The public contract: one Avro schema per event, the list of their ids, and the compatibility check."""
