"""The ledger on Kafka: fenced writers, verified readers, and a local index for each partition."""
