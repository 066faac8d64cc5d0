"""Azure Monitor's Logs Ingestion API, which feeds Sentinel (learn.microsoft.com, "Logs Ingestion API").

A data collection rule with a stream of these columns receives it: TimeGenerated (datetime), EventId, Tenant, Type,
ActorKind, ActorId, Correlation (string), Position (long), Event (dynamic).
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from adapters.sinks.documents import Document
from adapters.sinks.target import HttpTarget, compressed_array, judged
from adapters.sinks.tokens import Tokens
from adapters.webhooks.courier import Answer, Courier
from adapters.webhooks.kinds import Carried
from adapters.webhooks.message import time_text

MOST_BYTES: Final = 900_000
"""Before compression; the limit is 1 MB."""
VERSION: Final = "2023-01-01"
AUTHORITY: Final = "https://login.microsoftonline.com"
SCOPE: Final = "https://monitor.azure.com/.default"


class Settings(msgspec.Struct, frozen=True):
    endpoint: str
    rule: str
    stream: str
    directory: str
    client_id: str
    authority: str = AUTHORITY
    scope: str = SCOPE


class Secrets(msgspec.Struct, frozen=True):
    client_secret: str


class Azure(HttpTarget):
    """See adapters.sinks.target.Target."""

    def __init__(self, courier: Courier, settings: Settings, secrets: Secrets, clock: Callable[[], int]) -> None:
        super().__init__(courier)
        endpoint = settings.endpoint.rstrip("/")
        self._url = f"{endpoint}/dataCollectionRules/{settings.rule}/streams/{settings.stream}?api-version={VERSION}"
        form = {
            "grant_type": "client_credentials",
            "client_id": settings.client_id,
            "client_secret": secrets.client_secret,
            "scope": settings.scope,
        }
        token = f"{settings.authority.rstrip('/')}/{settings.directory}/oauth2/v2.0/token"
        self._tokens = Tokens(self._lines, token, lambda _: form, clock)

    async def send(self, documents: Sequence[Document]) -> Carried:
        token = await self._tokens.get()
        if isinstance(token, Answer):
            return Carried(token, len(documents))
        body, count = await compressed_array(_row, documents, MOST_BYTES)
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "Content-Encoding": "gzip",
        }
        answer = await self._lines.send(self._url, headers, body)
        if answer.status == 401:
            self._tokens.drop()
        return Carried(judged(answer), count)


def _row(document: Document) -> dict[str, Any]:
    return {
        "TimeGenerated": time_text(document.instant),
        "EventId": document.id,
        "Tenant": document.tenant,
        "Position": document.position,
        "Type": document.type,
        "ActorKind": document.actor_kind,
        "ActorId": document.actor_id,
        "Correlation": document.correlation,
        "Event": document.body,
    }
