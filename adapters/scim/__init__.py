"""SCIM 2.0 as a codec: schemas, filters, paths, PATCH, queries and discovery, with no I/O (RFC 7643, 7644)."""
