"""A witness as a log sees it: asked for its signature of a checkpoint, shown that the log only grew. C2SP tlog-witness.

What it answers is believed as far as its key shows. It is not told more than anybody who reads the log.
"""

import base64
import re
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import urlsplit

import httpx

from adapters.evidence.log import Kept
from adapters.evidence.signing import verifies
from domain.evidence.notes import NoteWrong, PublicKey, Signature, parse_key, parse_note, verify_signature

PATIENCE: Final = 15.0
MOST_ANSWER: Final = 65_536
MOST_URL: Final = 1_000
_SIZE: Final = re.compile(rb"(0|[1-9][0-9]{0,18})\n")

Consistency = Callable[[int, int], Sequence[bytes]]
"""The proof that the log of the one size begins with that of the other. It may take its time."""


class WitnessFailed(Exception):
    """No cosignature came; the message says why, and holds nothing of the witness's own words."""


class LogForked(WitnessFailed):
    """The witness has cosigned a larger log, or another of the same size, under the same origin."""


def objection(url: str) -> str | None:
    """Why a URL can't be a witness's submission prefix."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "the address is no URL"
    if len(url) > MOST_URL or not url.isascii() or not url.isprintable() or " " in url or port == 0:
        return "the address is no URL of at most 1,000 plain characters"
    if parts.scheme not in ("https", "http") or not parts.hostname:
        return "the address must begin with https:// or http:// and name a host"
    if parts.username or parts.password or parts.query or parts.fragment:
        return "the address must have no password, no query and no fragment"
    return None


class WitnessClient:
    """Asks one witness, and remembers how much of the log it has cosigned."""

    def __init__(self, url: str, vkey: str, http: httpx.AsyncClient) -> None:
        self.key: PublicKey = parse_key(vkey)
        self._url = url.rstrip("/") + "/add-checkpoint"
        self._http = http
        self._seen = 0
        """The size that it cosigned last, as far as we know: its answer corrects us."""

    async def cosign(self, checkpoint: Kept, consistency: Consistency) -> Sequence[Signature]:
        """Its verified signatures of a checkpoint. Raises WitnessFailed."""
        for _ in range(3):
            old = min(self._seen, checkpoint.size)
            proof = consistency(old, checkpoint.size)
            lines = [f"old {old}\n", *(base64.b64encode(each).decode() + "\n" for each in proof), "\n", checkpoint.note]
            status, kind, body = await self._ask("".join(lines).encode())
            if status == 200:
                self._seen = checkpoint.size
                return self._verified(checkpoint.note, body)
            size = _SIZE.fullmatch(body) if status == 409 and kind.startswith("text/x.tlog.size") else None
            if size is None:
                raise WitnessFailed(_MEANING.get(status, f"it answered {status}"))
            self._seen = int(size[1])
            if self._seen > checkpoint.size:
                raise LogForked(f"it has cosigned {self._seen} leaves of this log, which has {checkpoint.size} here")
            if self._seen == old:
                raise LogForked(f"it has cosigned another log of {old} leaves under this origin")
        raise WitnessFailed("it says each time that it has cosigned another size")

    async def _ask(self, body: bytes) -> tuple[int, str, bytes]:
        """Status, content type and body."""
        headers = {"content-type": "text/plain; charset=utf-8"}
        try:
            async with self._http.stream("POST", self._url, content=body, headers=headers) as response:
                parts, size = [], 0
                async for part in response.aiter_bytes():
                    size += len(part)
                    if size > MOST_ANSWER:
                        raise WitnessFailed("its answer is too long")
                    parts.append(part)
                return response.status_code, response.headers.get("content-type", ""), b"".join(parts)
        except httpx.HTTPError as problem:
            raise WitnessFailed(f"it can't be reached ({type(problem).__name__})") from problem

    def _verified(self, note: str, body: bytes) -> list[Signature]:
        """Those of its own key that hold; others are left out. Raises WitnessFailed if none is there."""
        try:
            signed = parse_note(_text_of(note).encode() + b"\n" + body)
        except NoteWrong as problem:
            raise WitnessFailed("its answer is no list of signatures") from problem
        found = [each for each in signed.signatures if (each.name, each.id) == (self.key.name, self.key.id)]
        for each in found:
            try:
                verify_signature(signed.text, each, self.key, verifies)
            except NoteWrong as problem:
                raise WitnessFailed("its signature does not hold") from problem
        if not found:
            raise WitnessFailed("it signed with another key than it was added with")
        return found[:1]


def http_client() -> httpx.AsyncClient:
    """For all witnesses: no redirects, no proxies of the environment."""
    return httpx.AsyncClient(timeout=httpx.Timeout(PATIENCE, connect=5.0), trust_env=False, follow_redirects=False)


def _text_of(note: str) -> str:
    return parse_note(note.encode()).text


_MEANING: Final = {
    400: "it says that the request is malformed",
    403: "it trusts none of the keys that signed: give it the keys at /v1/evidence/keys",
    404: "it does not know the log: give it the origin at /v1/evidence/keys",
    409: "it says that the log differs from what it cosigned",
    422: "it says that the log is not consistent with what it cosigned",
    429: "it is asked too often",
}
