"""The courier: carries one signed message to a receiver by HTTP and brings back what was answered, and no more.

The host is resolved and checked for each attempt, and the connection goes to the very address that was checked: the
name is not asked again. Redirects are not followed, the environment's proxies not used, and of an answer only its
status stays.
"""

import asyncio
import contextlib
import ssl
from typing import Final, NamedTuple

import httpx
import msgspec

from adapters.webhooks.addresses import Refused, Resolve, addresses_of, objection

CONNECT: Final = 5.0
ANSWER: Final = 15.0
"""Seconds for all of an attempt, from the look-up of the host to the end of the answer."""
MOST_READ: Final = 65_536
"""Bytes of an answer that are read, so that the connection can be used again; none is looked at."""
IDLE: Final = 4.0
"""Seconds; less than what common servers allow."""
MOST_ADDRESSES: Final = 3
LONGEST_RETRY_AFTER: Final = 3600.0
_ACCEPTED: Final = range(200, 300)


class Answer(msgspec.Struct, frozen=True):
    """What an attempt came to. `reason` is ours: nothing of the receiver's is in it."""

    status: int | None
    reason: str
    retry_after: float | None = None
    """Seconds that the receiver asks for."""
    refused: bool = False
    """Whether what was sent is not wanted as it is: sent again, it would be refused again."""
    until: int | None = None
    """The position up to which the receiver has everything already, where it says so."""
    headers: dict[str, str] = {}
    body: bytes = b""
    """What was answered, where it was asked to be kept. It is the receiver's: nothing of it may be shown."""

    @property
    def delivered(self) -> bool:
        return self.status in _ACCEPTED


class Courier:
    """Makes lines. `private` lets deliveries go to plain HTTP and to addresses near us."""

    def __init__(
        self,
        resolve: Resolve,
        *,
        private: bool = False,
        trust: ssl.SSLContext | None = None,
        patience: float = ANSWER,
    ) -> None:
        self.resolve = resolve
        self._patience = patience
        self.private = private
        self.trust = trust or httpx.create_ssl_context()

    def objection(self, url: str) -> str | None:
        """Why a URL can't be a webhook's."""
        return objection(url, private=self.private)

    def line(self) -> "Line":
        return Line(self.resolve, self.private, self.trust, self._patience)


class _Request(NamedTuple):
    method: str
    headers: dict[str, str]
    body: bytes
    keep: bool


class Line:
    """One webhook's: it keeps a connection between deliveries that follow each other."""

    def __init__(self, resolve: Resolve, private: bool, trust: ssl.SSLContext, patience: float) -> None:
        self._resolve = resolve
        self._private = private
        self._trust = trust
        self._patience = patience
        self._host = ""
        self._transport = self._new_transport()

    def _new_transport(self) -> httpx.AsyncHTTPTransport:
        return httpx.AsyncHTTPTransport(
            verify=self._trust,
            trust_env=False,
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=IDLE),
        )

    async def send(
        self, url: str, headers: dict[str, str], body: bytes, *, method: str = "POST", keep: bool = False
    ) -> Answer:
        """`keep` brings the answer's headers and body too, up to MOST_READ bytes.

        Raises nothing but CancelledError: whatever goes wrong is an answer too.
        """
        if because := objection(url, private=self._private):
            return Answer(None, because)
        try:
            async with asyncio.timeout(self._patience):
                return await self._send(httpx.URL(url), _Request(method, headers, body, keep))
        except TimeoutError:
            return Answer(None, f"there was no answer within {self._patience:.0f} seconds")
        except Refused as refused:
            return Answer(None, str(refused))
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as problem:
            return Answer(None, reason_of(problem))

    async def _send(self, url: httpx.URL, request: "_Request") -> Answer:
        host = url.raw_host.decode().removesuffix(".")
        port = url.port or (443 if url.scheme == "https" else 80)
        addresses = await addresses_of(host, port, self._resolve, private=self._private)
        if host != self._host:  # a connection is of an address and not of a name: another name must not inherit it
            await self._transport.aclose()
            self._host, self._transport = host, self._new_transport()
        *others, last = addresses[:MOST_ADDRESSES]
        for address in others:
            with contextlib.suppress(httpx.ConnectError, httpx.ConnectTimeout):  # nothing was sent
                return await self._exchange(url, host, address, request)
        return await self._exchange(url, host, last, request)

    async def _exchange(self, url: httpx.URL, host: str, address: str, asked: "_Request") -> Answer:
        request = httpx.Request(
            asked.method,
            url.copy_with(host=address),
            headers={**asked.headers, "Host": url.netloc.decode(), "User-Agent": "Muniment", "Accept": "*/*"},
            content=asked.body,
            extensions={
                "sni_hostname": host,
                "timeout": {"connect": CONNECT},
            },
        )
        response = await self._transport.handle_async_request(request)
        try:
            read, kept = 0, list[bytes]()
            async for chunk in response.aiter_raw():
                read += len(chunk)
                if read > MOST_READ:
                    break
                if asked.keep:
                    kept.append(chunk)
        finally:
            await response.aclose()
        answer = Answer(response.status_code, _said(response.status_code), _retry_after(response))
        if not asked.keep:
            return answer
        headers = {name.lower(): value for name, value in response.headers.items()}
        return msgspec.structs.replace(answer, headers=headers, body=b"".join(kept))

    async def aclose(self) -> None:
        await self._transport.aclose()


def _said(status: int) -> str:
    if status in _ACCEPTED:
        return "delivered"
    if 300 <= status < 400:
        return f"the receiver answered {status}; redirects are not followed"
    return f"the receiver answered {status}"


def _retry_after(response: httpx.Response) -> float | None:
    text = response.headers.get("retry-after", "")
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        return None
    return min(float(text), LONGEST_RETRY_AFTER)


def reason_of(problem: Exception) -> str:
    cause: BaseException | None = problem
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "the receiver's certificate is not valid for its host"
        if isinstance(cause, ssl.SSLError):
            return "no secure connection could be made"
        cause = cause.__cause__ or cause.__context__
    if isinstance(problem, httpx.ConnectError | httpx.ConnectTimeout):
        return "no connection could be made"
    return "the connection broke before there was an answer"
