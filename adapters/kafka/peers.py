"""Calls from node to node, over HTTP and authenticated by a key that all nodes derive from the root key."""

import hashlib
import hmac
import re
import secrets
import ssl
import time
from collections.abc import Sequence
from typing import Final

import httpx
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

PROOF: Final = "muniment-node"
"""The header that proves that a node asks: `time.nonce.body.hash`."""
MOST_OFF: Final = 30
"""Seconds that a proof is good for, before and after its time."""
CONNECT: Final = 1.0
_ADDRESS: Final = re.compile(r"https?://[A-Za-z0-9._:%\[\]-]+(?:/[A-Za-z0-9._~/-]*)?")


def is_address(text: str) -> bool:
    """Whether a node may be called there: an origin, perhaps with a path, and nothing else hidden in it."""
    return len(text) < 300 and _ADDRESS.fullmatch(text) is not None


class Unreachable(Exception):
    """The node was not reached: it has not seen the request."""


class NoAnswer(Exception):
    """The node was reached and did not answer: it may have done what it was asked."""


class Proofs:
    """Makes and checks what nodes prove themselves with. A proof is for one request, and not accepted twice."""

    def __init__(self, root_key: bytes) -> None:
        self._key = HKDF(SHA256(), 32, salt=None, info=b"muniment node to node").derive(root_key)
        self._seen: dict[str, float] = {}

    def make(self, address: str, method: str, target: str, body: bytes, about: str = "") -> str:
        """For the node at an address. `about`: what else the request says and must not be changed on its way."""
        now, nonce, digest = str(int(time.time())), secrets.token_hex(12), hashlib.sha256(body).hexdigest()
        return f"{now}.{nonce}.{digest}.{self._hash(now, nonce, digest, address, method, target, about)}"

    def body_of(self, proof: str, address: str, method: str, target: str, about: str = "") -> str | None:
        """The hash that the body must have, if the proof holds; known before any of the body is read."""
        parts, now = proof.split("."), time.time()
        if len(parts) != 4:
            return None
        when, nonce, digest, given = parts
        if not (when.isascii() and when.isdigit() and len(when) < 12) or abs(now - int(when)) > MOST_OFF:
            return None
        wanted = self._hash(when, nonce, digest, address, method, target, about)
        if not hmac.compare_digest(wanted.encode(), given.encode("utf-8", "replace")) or nonce in self._seen:
            return None
        self._seen[nonce] = now
        while self._seen and now - next(iter(self._seen.values())) > 2 * MOST_OFF + 1:
            del self._seen[next(iter(self._seen))]
        return digest

    def answer(self, proof: str) -> str:
        """What a node answers a request with, so that it is known to be one."""
        return self._hash("answer", proof)

    def _hash(self, *parts: str) -> str:
        mac = hmac.new(self._key, digestmod=hashlib.sha256)
        for part in parts:
            data = part.encode("utf-8", "surrogateescape")
            mac.update(len(data).to_bytes(8, "big") + data)
        return mac.hexdigest()


class Peers:
    """The other nodes, by their addresses. Lives on one event loop."""

    def __init__(self, proofs: Proofs, ca_file: str | None = None) -> None:
        """`ca_file`: PEM, the authorities that other nodes' certificates are from; None trusts the system's."""
        self.proofs = proofs
        verify = ssl.create_default_context(cafile=ca_file)
        limits = httpx.Limits(max_connections=512, max_keepalive_connections=128, keepalive_expiry=30.0)
        self._client = httpx.AsyncClient(verify=verify, limits=limits, trust_env=False, follow_redirects=False)

    async def ask(
        self,
        address: str,
        method: str,
        target: str,
        body: bytes,
        timeout: float,
        headers: Sequence[tuple[bytes, bytes]] = (),
        about: str = "",
    ) -> httpx.Response:
        """`target` is path and query. Raises Unreachable or NoAnswer."""
        proof = self.proofs.make(address, method, target, body, about)
        sent = [*headers, (PROOF.encode(), proof.encode())]
        request = self._client.build_request(
            method, address + target, content=body, headers=sent, timeout=httpx.Timeout(timeout, connect=CONNECT)
        )
        try:
            response = await self._client.send(request)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol) as problem:
            raise Unreachable(type(problem).__name__) from problem
        except (httpx.HTTPError, httpx.InvalidURL) as problem:
            raise NoAnswer(type(problem).__name__) from problem
        if response.headers.get(PROOF) != self.proofs.answer(proof):
            raise NoAnswer("what answered there is no node of this deployment")
        return response

    async def close(self) -> None:
        await self._client.aclose()
