"""Going back: as of, diff, why, what if, blast radius, rebuild, and verify."""
