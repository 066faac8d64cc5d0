"""Going back: as of, diff, rebuild, and verify."""
