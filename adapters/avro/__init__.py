"""Avro: how events become bytes that never change, and how old bytes become events again."""
