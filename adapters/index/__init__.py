"""The index of a partition: what was recorded, by position, tag and type; and the writer that decides against it."""
