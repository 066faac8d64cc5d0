"""The webhooks of a node, towards real receivers."""
