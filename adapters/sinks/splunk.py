"""Splunk's HTTP Event Collector: JSON objects one after another, with a token (docs.splunk.com, "Format events for
HTTP Event Collector").

Each has the event's id in `fields.muniment_id`, so that what is sent twice can be told from what happened twice.
"""

import json
import uuid
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from adapters.sinks.documents import Document, encode
from adapters.sinks.target import HttpTarget, fitting, judged
from adapters.webhooks.courier import Answer, Courier
from adapters.webhooks.kinds import Carried

MOST_BYTES: Final = 1_000_000
"""What Splunk recommends as the largest body; its limit is `max_content_length`."""
_OURS: Final = {
    5: "it was sent no data",
    6: "it takes the data for invalid",
    12: "it misses an event",
    13: "it has a blank event",
}
"""Codes of a 400 that are about what was sent; others are about how the collector or the sink is set up."""
_THEIRS: Final = {
    1: "the token is disabled",
    2: "it wants a token",
    3: "it does not take the token",
    4: "it does not know the token",
    7: "the index is not one that the token may write",
    8: "it has an internal error",
    9: "it is busy",
    10: "it wants a channel",
    11: "it does not take the channel",
    14: "acknowledgements are off",
}


class Settings(msgspec.Struct, frozen=True):
    url: str
    index: str | None = None
    source: str = "muniment"
    sourcetype: str = "muniment:event"
    host: str | None = None


class Secrets(msgspec.Struct, frozen=True):
    token: str


class Splunk(HttpTarget):
    """See adapters.sinks.target.Target."""

    def __init__(self, courier: Courier, sink: str, settings: Settings, secrets: Secrets) -> None:
        super().__init__(courier)
        self._url = settings.url.rstrip("/") + "/services/collector/event"
        self._headers = {
            "Authorization": f"Splunk {secrets.token}",
            "Content-Type": "application/json",
            "X-Splunk-Request-Channel": str(uuid.uuid5(uuid.NAMESPACE_URL, f"muniment:{sink}")),
        }
        self._same: dict[str, Any] = {"source": settings.source, "sourcetype": settings.sourcetype}
        if settings.index:
            self._same["index"] = settings.index
        if settings.host:
            self._same["host"] = settings.host

    async def send(self, documents: Sequence[Document]) -> Carried:
        parts = [encode(self._event(each)) for each in documents]
        count = fitting(parts, MOST_BYTES)
        answer = await self._lines.send(self._url, self._headers, b"\n".join(parts[:count]), keep=True)
        return Carried(_judged(answer), count)

    def _event(self, document: Document) -> dict[str, Any]:
        fields = {
            "muniment_id": document.id,
            "muniment_tenant": document.tenant,
            "muniment_position": str(document.position),
            "muniment_type": document.type,
        }
        return {"time": document.instant / 1_000_000, **self._same, "event": document.body, "fields": fields}


def _judged(answer: Answer) -> Answer:
    if answer.status is None or answer.delivered:
        return judged(answer)
    try:
        said = json.loads(answer.body)
        code = said.get("code") if isinstance(said, dict) else None
    except (ValueError, RecursionError):
        code = None
    known = {**_OURS, **_THEIRS}.get(code) if isinstance(code, int) else None
    reason = f"{answer.reason}: {known} (code {code})" if known else None
    return judged(answer, refused=answer.status == 413 or (answer.status == 400 and code not in _THEIRS), reason=reason)
