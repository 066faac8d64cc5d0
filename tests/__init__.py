"""The same folders again, each proven from the outside."""
