"""A raw request: what its path, query and headers may hold, looked at once, before anything decodes them."""

import re
from typing import Final
from urllib.parse import unquote_to_bytes

from starlette.types import Scope

from api.http.problems import Problem, bad_request, headers_too_large, uri_too_long

MOST_BYTES: Final = 8 * 1024

_ODD: Final = re.compile(rb"[^!-~]|%(?![0-9A-Fa-f]{2})")
_CONTROL_IN_PATH: Final = re.compile(rb"%(?:[01][0-9A-Fa-f]|7[Ff])")


def require_plain(scope: Scope) -> None:
    """Raise a Problem unless the path, query and headers are short, whole and free of NUL."""
    path: bytes = scope.get("raw_path") or scope["path"].encode("utf-8", "surrogatepass")
    query: bytes = scope["query_string"]
    if len(path) > MOST_BYTES or len(query) > MOST_BYTES:
        raise uri_too_long(MOST_BYTES)
    if _ODD.search(path) or (b"%" in path and not _decodes(path)) or _CONTROL_IN_PATH.search(path):
        raise _refused("path")
    if query and (_ODD.search(query) or (b"%" in query and not _decodes(query)) or b"%00" in query):
        raise _refused("query")
    for _, value in scope["headers"]:
        if len(value) > MOST_BYTES:
            raise headers_too_large(MOST_BYTES)
        if b"\0" in value:
            raise bad_request("a header holds the character NUL; leave it out")


def _decodes(quoted: bytes) -> bool:
    # Strict UTF-8 also refuses surrogates, which a lenient decoder would let through as text that can't be stored.
    try:
        unquote_to_bytes(quoted).decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _refused(part: str) -> Problem:
    return bad_request(f"the {part} must be printable UTF-8, percent-encoded where it is not ASCII, without NUL")
