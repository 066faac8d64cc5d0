"""Evidence: whoever holds a public key can check a history without its keeper, and a changed bit is found."""
