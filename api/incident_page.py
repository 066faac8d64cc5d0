"""The incident report as one page, to read or to print: nothing on it runs, and nothing comes from elsewhere."""

import base64
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import jinja2
from markupsafe import Markup

from api.incident_graph import svg_of

if TYPE_CHECKING:
    from api.incident import Incident
    from api.replay import Difference

MOST_EMBEDDED: Final = 2 << 20
"""Bytes of a bundle; a larger one is in the JSON beside the page."""
_LONGEST: Final = 300
_NAMES: Final = ("user_name", "display_name", "name", "key", "setting")


def page_of_incident(incident: "Incident") -> str:
    """HTML; every value in it is escaped."""
    bundle = base64.b64decode(incident.proofs.bundle) if incident.proofs.bundle else b""
    graph = svg_of(incident.radius)
    return _template().render(
        incident=incident,
        radius=incident.radius,
        graph=None if graph is None else Markup(graph),  # noqa: S704  (made of escaped parts)
        bundle=bundle.decode() if 0 < len(bundle) <= MOST_EMBEDDED else None,
        bundle_size=len(bundle),
        short=_short,
        name_of=_name_of,
    )


def _short(value: Any) -> str:
    """A value of a row, on one line."""
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case list():
            text = ", ".join(map(str, value)) or "–"
        case _:
            text = str(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _name_of(change: "Difference") -> str | None:
    """What people call the row."""
    row = change.after or change.before
    found = (row.values.get(each) for each in _NAMES) if row else ()
    return next((each for each in found if isinstance(each, str)), None)


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("incident.html")
