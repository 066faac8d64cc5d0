"""The faces whose shape a standard says; their bodies, errors and words are the standard's."""
