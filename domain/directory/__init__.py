"""The directory: a tenant's people, their groups, and the feeds that provision them."""
