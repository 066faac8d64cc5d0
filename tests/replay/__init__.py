"""Going back: the same questions to what was, and what made it so."""
