"""Webhooks: what happens in a tenant, told in order to addresses of its own."""
