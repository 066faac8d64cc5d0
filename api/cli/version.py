"""`muniment version`: what is installed."""

import platform
import sqlite3
from importlib.metadata import version as installed

from api.cli.door import Json
from api.cli.printing import answer


def version(json: Json = False) -> None:
    """Say which version this is."""
    told = {"muniment": installed("muniment"), "python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
    answer(told, json=json)
