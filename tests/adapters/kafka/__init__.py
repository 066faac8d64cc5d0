"""Tests of the ledger on Kafka, on a real broker."""
