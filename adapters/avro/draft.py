"""Writes the schema of each event that has none yet and gives it the next id: `python -m adapters.avro.draft`.

A released schema is never rewritten: an event whose class has changed gets the next revision, in a file of its own.
"""

import json
import re
from typing import Any

from adapters.avro.shape import schema_of
from domain.capabilities import EVENTS_OF
from schemas.registry import FOLDER


def snake(name: str) -> str:
    """UserProvisioned → user_provisioned"""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def draft() -> list[str]:
    """Returns the files that were written."""
    path = FOLDER / "ids.json"
    listed: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
    newest = {each["event"]: each for each in listed}
    written = []
    for capability, events in EVENTS_OF.items():
        for event in events:
            text = json.dumps(schema_of(event, capability), indent=2) + "\n"
            last = newest.get(event.__name__)
            if last and (FOLDER / last["file"]).read_text() == text:
                continue
            revision = last["revision"] + 1 if last else 1
            suffix = f".{revision}" if last else ""
            file = f"{capability}/{snake(event.__name__)}{suffix}.avsc"
            (FOLDER / capability).mkdir(exist_ok=True)
            (FOLDER / file).write_text(text)
            number = max((each["id"] for each in listed), default=0) + 1
            listed.append({"id": number, "event": event.__name__, "revision": revision, "file": file})
            written.append(file)
    path.write_text("[\n" + ",\n".join("  " + json.dumps(each) for each in listed) + "\n]\n")
    return written


if __name__ == "__main__":
    for each in draft():
        print(each)
