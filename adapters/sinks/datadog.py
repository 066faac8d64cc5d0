"""Datadog's log intake: `POST /api/v2/logs`, an array of entries, compressed (docs.datadoghq.com/api, "Send logs")."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from adapters.sinks.documents import Document
from adapters.sinks.target import HttpTarget, compressed_array, judged
from adapters.webhooks.courier import Courier
from adapters.webhooks.kinds import Carried
from adapters.webhooks.message import time_text

MOST_BYTES: Final = 4_500_000
"""Before compression; the limit is 5 MB."""


class Settings(msgspec.Struct, frozen=True):
    site: str = "datadoghq.com"
    url: str | None = None
    service: str = "muniment"
    tags: tuple[str, ...] = ()


class Secrets(msgspec.Struct, frozen=True):
    api_key: str


class Datadog(HttpTarget):
    """See adapters.sinks.target.Target."""

    most = 1_000
    """Entries in one array."""

    def __init__(self, courier: Courier, settings: Settings, secrets: Secrets) -> None:
        super().__init__(courier)
        self._url = (settings.url or f"https://http-intake.logs.{settings.site}").rstrip("/") + "/api/v2/logs"
        self._headers = {
            "DD-API-KEY": secrets.api_key,
            "Content-Type": "application/json",
            "Content-Encoding": "gzip",
        }
        self._service = settings.service
        self._tags = settings.tags

    async def send(self, documents: Sequence[Document]) -> Carried:
        body, count = await compressed_array(self._entry, documents, MOST_BYTES)
        return Carried(judged(await self._lines.send(self._url, self._headers, body)), count)

    def _entry(self, document: Document) -> dict[str, Any]:
        tags = [f"tenant:{document.tenant}", f"type:{document.type}", *self._tags]
        return {
            "ddsource": "muniment",
            "ddtags": ",".join(tags),
            "service": self._service,
            "date": time_text(document.instant),
            "message": f"{document.type} at position {document.position}",
            "muniment": document.body,
        }
