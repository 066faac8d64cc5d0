"""Access: named permissions, and who has them."""
