"""Everything that touches the world: logs, index, keyring, Avro, Postgres, and the protocols' codecs."""
