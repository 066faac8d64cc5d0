"""Any HTTPS address: CloudEvents in batches (CloudEvents HTTP binding §3.3), or one JSON document a line.

`Muniment-Batch` is the same for the same batch. With a signing secret, batches are signed as Standard Webhooks says.
"""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from adapters.sinks.documents import CLOUDEVENTS, OCSF, Document, encode
from adapters.sinks.target import HttpTarget, fitting, judged
from adapters.webhooks.courier import Courier
from adapters.webhooks.kinds import Carried
from adapters.webhooks.signing import signed

MOST_BYTES: Final = 1_000_000
TYPES: Final = {
    ("batch", CLOUDEVENTS): "application/cloudevents-batch+json",
    ("batch", OCSF): "application/json",
    ("ndjson", CLOUDEVENTS): "application/x-ndjson",
    ("ndjson", OCSF): "application/x-ndjson",
}


class Settings(msgspec.Struct, frozen=True):
    url: str
    body: str = "batch"
    """batch or ndjson"""
    most_events: int = 100


class Secrets(msgspec.Struct, frozen=True):
    authorization: str | None = None
    """The whole value of the header."""
    signing_secret: str | None = None


class Https(HttpTarget):
    """See adapters.sinks.target.Target."""

    def __init__(
        self,
        courier: Courier,
        sink: str,
        settings: Settings,
        secrets: Secrets,
        clock: Callable[[], int],
        format: str = CLOUDEVENTS,
    ) -> None:
        super().__init__(courier)
        self.most = settings.most_events
        self._sink = sink
        self._settings = settings
        self._secrets = secrets
        self._clock = clock
        self._type = TYPES[settings.body, format]

    async def send(self, documents: Sequence[Document]) -> Carried:
        parts = [encode(each.body) for each in documents]
        count = fitting(parts, MOST_BYTES)
        if self._settings.body == "ndjson":
            body = b"".join(each + b"\n" for each in parts[:count])
        else:
            body = b"[" + b",".join(parts[:count]) + b"]"
        batch = f"{self._sink}.{documents[0].position}-{documents[count - 1].position}"
        headers = {"Content-Type": self._type, "Muniment-Batch": batch}
        if self._secrets.authorization:
            headers["Authorization"] = self._secrets.authorization
        if self._secrets.signing_secret:
            headers.update(signed(batch, self._clock(), body, [self._secrets.signing_secret]))
        return Carried(judged(await self._lines.send(self._settings.url, headers, body)), count)
