"""Audit actions: what the product itself has to say, in events of schemas that operators register."""
