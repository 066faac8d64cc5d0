"""Static files of the pages: read once, answered under an address that changes with what they hold."""

import hashlib
from importlib.resources import files
from typing import Final

from fastapi import Path, Response

from api.http import problems
from api.http.json_body import JsonRouter

_TYPES: Final = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
_FILES: Final = {
    each.name: each.read_bytes()
    for each in sorted(files("api.pages").joinpath("static").iterdir(), key=lambda each: each.name)
    if each.name.rpartition(".")[2] in _TYPES
}
VERSION: Final = hashlib.sha256(b"|".join(_FILES.values())).hexdigest()[:12]
_FOR_EVER: Final = "public, max-age=31536000, immutable"

routes = JsonRouter(prefix="/console/static", include_in_schema=False)


@routes.get("/{version}/{name}")
async def read_static(version: str, name: str = Path(max_length=100)) -> Response:
    """To anybody: there is nothing of a tenant in them."""
    content = _FILES.get(name)
    if content is None:
        raise problems.not_found()
    headers = {"Cache-Control": _FOR_EVER if version == VERSION else "no-cache"}
    headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    return Response(content, media_type=_TYPES[name.rpartition(".")[2]], headers=headers)
