"""Made-up histories whose stored bytes begin as every event's do."""

import random
from collections.abc import Sequence

from adapters.avro.encode import array, put_long, put_string

_put_longs, _put_strings = array(put_long), array(put_string)


class MadeHistory:
    """Of tenants that have a few hundred people, who share roles; grows when it is told to."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)
        self._nth: dict[tuple[str, str], int] = {}
        self.events: dict[str, list[bytes]] = {}
        self.read = 0
        """How many events were read of it."""

    def grow(self, tenant: str, events: int) -> None:
        stored = self.events.setdefault(tenant, [])
        for position in range(len(stored) + 1, len(stored) + events + 1):
            tags = [
                f"command:cmd_{position}",
                f"user:{self._random.randrange(300)}",
                f"role:{self._random.randrange(9)}",
            ]
            stored.append(stored_event(position, tags, [self._count(tenant, each) for each in tags]))

    def _count(self, tenant: str, tag: str) -> int:
        self._nth[tenant, tag] = nth = self._nth.get((tenant, tag), 0) + 1
        return nth

    def stored(self, tenant: str, after: int, limit: int) -> Sequence[tuple[int, bytes]]:
        found = list(enumerate(self.events.get(tenant, [])[after : after + limit], after + 1))
        self.read += len(found)
        return found


def stored_event(position: int, tags: Sequence[str], nth: Sequence[int]) -> bytes:
    """What the codec would begin an event with, and a body that says nothing."""
    out = [b"\x00\x00\x00\x00\x01"]
    put_long(out, position)
    put_long(out, 1_700_000_000_000_000 + position)
    _put_longs(out, list(nth))
    put_string(out, "018bcfe5-6800-7000-8000-000000000001")
    _put_strings(out, list(tags))
    out.append(b"the rest of the event" * 4)
    return b"".join(out)
