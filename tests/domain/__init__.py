"""The language and its rules: given what happened, when somebody asks, then this happens."""
