"""Vectors that others made, or that no later version may read otherwise; `README.md` says where each is from."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


def vectors(name: str) -> dict[str, Any]:
    """Of the file with this name."""
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return found
