"""The command line: what the API does, for people and for scripts."""

from api.cli.commands import main

__all__ = ["main"]
