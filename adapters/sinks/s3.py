"""Amazon S3, and what speaks as it does: objects by `PUT` with `If-None-Match: *`, signed with Signature Version 4."""

from base64 import b64encode
from hashlib import md5, sha256
from typing import Final
from urllib.parse import quote

import msgspec

from adapters.sinks.objects import LAST, ObjectTarget, last_from
from adapters.webhooks.courier import Answer, Courier

_SAID: Final = {
    403: "the credentials may not do this here (or the clock of this node is wrong)",
    404: "there is no such bucket",
    301: "the bucket is in another region",
}


class Settings(msgspec.Struct, frozen=True):
    bucket: str
    region: str
    access_key_id: str
    prefix: str = ""
    endpoint: str | None = None
    """Another storage that speaks S3: buckets are named in the path there."""
    gzip: bool = True
    seconds: int = 60
    most_events: int = 1000


class Secrets(msgspec.Struct, frozen=True):
    secret_access_key: str


class S3(ObjectTarget):
    """See adapters.sinks.target.Target."""

    def __init__(self, courier: Courier, sink: str, turn: int, settings: Settings, secrets: Secrets) -> None:
        super().__init__(courier, sink, turn, settings)
        if settings.endpoint:
            self._base = f"{settings.endpoint.rstrip('/')}/{settings.bucket}"
        else:
            self._base = f"https://{settings.bucket}.s3.{settings.region}.amazonaws.com"
        self._region = settings.region
        self._keys = (settings.access_key_id, secrets.secret_access_key)

    async def _put(self, name: str, body: bytes, last: int) -> Answer:
        headers = {
            "Content-Type": "application/x-ndjson",
            "If-None-Match": "*",
            "Content-MD5": b64encode(md5(body, usedforsecurity=False).digest()).decode(),
            f"x-amz-meta-{LAST}": str(last),
        }
        if self._is_compressed:
            headers["Content-Encoding"] = "gzip"
        answer = await self._ask("PUT", name, headers, body)
        if answer.status == 409:  # somebody else is writing it at this moment
            return Answer(409, "the object is being written by another node", 1.0)
        said = _SAID.get(answer.status or 0)
        return msgspec.structs.replace(answer, reason=f"{answer.reason}: {said}") if said else answer

    async def _last(self, name: str) -> int | Answer:
        answer = await self._ask("HEAD", name, {}, b"")
        return last_from(answer, answer.headers.get(f"x-amz-meta-{LAST}"))

    async def _ask(self, method: str, name: str, headers: dict[str, str], body: bytes) -> Answer:
        url = f"{self._base}/{quote(name, safe='/-_.~')}"
        return await self._lines.send(url, self._signed(method, url, headers, body), body, method=method, keep=True)

    def _signed(self, method: str, url: str, headers: dict[str, str], body: bytes) -> dict[str, str]:
        from botocore.auth import S3SigV4Auth  # it takes long to import, and few nodes need it
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        headers = {**headers, "X-Amz-Content-SHA256": sha256(body).hexdigest()}
        request = AWSRequest(method=method, url=url, data=body, headers=headers)
        S3SigV4Auth(Credentials(*self._keys), "s3", self._region).add_auth(request)
        return dict(request.headers.items())
