"""Webhooks: addresses of a tenant's own that are told what happens in it, and what becomes of the telling."""
