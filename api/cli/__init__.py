"""The command line: what the API does, for people and for scripts."""


def main() -> None:
    """Runs the command that the process was started with."""
    from api.cli import commands  # they import each other's parts from this package

    commands.main()
