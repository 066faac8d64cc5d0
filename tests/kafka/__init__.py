"""A real Apache Kafka for tests and benchmarks, and the faults between it and its clients."""
