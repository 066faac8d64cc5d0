"""Entity tags made from positions, and the conditions that callers put on them (RFC 9110 §8.8.3, §13.1)."""

import re
from typing import Annotated, Any, Final, NamedTuple

from fastapi import Header

from api.http.problems import Problem, bad_request, precondition_failed

MOST_TAGS: Final = 64

_TAG: Final = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_SEPARATOR: Final = re.compile(r"[ \t]*,[ \t,]*")
_VERSION: Final = re.compile(r"(0|[1-9][0-9]{0,18})\.(0|[1-9][0-9]{0,18})")

_DOCUMENTED: Final[dict[str, Any]] = {"minLength": 1, "pattern": r'^(\*|(W/)?"[!#-~]*"(, (W/)?"[!#-~]*"){0,63})$'}

IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        description="Only if its ETag is still one of these, or `*`: if it is there.",
        json_schema_extra=_DOCUMENTED,
    ),
]
IfNoneMatch = Annotated[
    str | None,
    Header(
        alias="If-None-Match",
        description="Only if its ETag is none of these, or `*`: if it isn't there.",
        json_schema_extra=_DOCUMENTED,
    ),
]


class Version(NamedTuple):
    """What an entity tag stands for: the position of the last change, and the erasure epoch it is shown under."""

    position: int
    epoch: int = 0


class Etag(NamedTuple):
    opaque: str
    weak: bool = False

    def __str__(self) -> str:
        return f'W/"{self.opaque}"' if self.weak else f'"{self.opaque}"'

    @property
    def version(self) -> Version | None:
        """None if the tag was never one of ours."""
        match = _VERSION.fullmatch(self.opaque)
        return Version(int(match[1]), int(match[2])) if match else None


def etag(position: int, epoch: int = 0, *, weak: bool = False) -> Etag:
    return Etag(f"{position}.{epoch}", weak)


class Condition(NamedTuple):
    """A parsed If-Match or If-None-Match: anything at all (`*`), or one of these tags."""

    anything: bool
    tags: tuple[Etag, ...] = ()

    def holds(self, current: Etag | None, *, weakly: bool) -> bool:
        """Whether what is there now (None: nothing) is meant; strongly, a weak tag never is."""
        if current is None:
            return False
        if self.anything:
            return True
        if weakly:
            return any(tag.opaque == current.opaque for tag in self.tags)
        return not current.weak and current in self.tags

    def versions(self) -> frozenset[Version] | None:
        """The versions a command may find, for `decide` to check; None if any will do."""
        if self.anything:
            return None
        return frozenset(version for tag in self.tags if (version := tag.version) is not None)


def parse_condition(header: str, name: str = "If-Match") -> Condition:
    """`*`, or entity tags separated by commas, also none (RFC 9110 §5.6.1); anything else is a Problem."""
    text = header.strip(" \t,")
    if text == "*":
        return Condition(anything=True)
    if not text:
        return Condition(anything=False)
    tags: list[Etag] = []
    at = 0
    while match := _TAG.match(text, at):
        tags.append(Etag(match[2], weak=match[1] is not None))
        at = match.end()
        if at == len(text):
            return Condition(False, tuple(tags))
        separator = _SEPARATOR.match(text, at)
        if separator is None or len(tags) == MOST_TAGS:
            break
        at = separator.end()
    raise _malformed(name)


def require_match(if_match: str | None, current: Etag | None, *, weakly: bool = False) -> None:
    """Raise 412 unless If-Match is absent or means what is there now. SCIM's tags are weak: it compares weakly."""
    if if_match is not None and not parse_condition(if_match).holds(current, weakly=weakly):
        raise precondition_failed()


def require_no_match(if_none_match: str | None, current: Etag | None) -> None:
    """For writes: raise 412 if If-None-Match means what is there now; with `*`, if anything is there."""
    if matches_none(if_none_match, current):
        raise precondition_failed("it is there already; read it and decide again")


def matches_none(if_none_match: str | None, current: Etag | None) -> bool:
    """For reads: whether If-None-Match means what is there now, so that 304 answers."""
    return if_none_match is not None and parse_condition(if_none_match, "If-None-Match").holds(current, weakly=True)


def _malformed(name: str) -> Problem:
    return bad_request(f'send {name} as `*` or as at most {MOST_TAGS} ETags in quotes: "123.0"')
