"""Which addresses a delivery may go to: those of the public internet, resolved once and held to for the attempt."""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import httpx

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""The addresses of a host, as text, the preferred first. Raises OSError."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MOST_CHARACTERS: Final = 2_000
HIGHEST_PORT: Final = 65_535
LOWEST_FREE_PORT: Final = 1024
"""Below it are other protocols, which could be made to believe that a request speaks to them."""
_NOT_PUBLIC: Final = tuple(
    ipaddress.ip_network(each)
    for each in (
        "168.63.129.16",  # public in form, and answered by the cloud that a machine runs in, about that machine
        "192.0.0.0/24",
        "192.88.99.0/24",
        "2001::/23",
        "2002::/16",  # 6to4 and Teredo (above) lead to whatever IPv4 address is written in them
        "3fff::/20",
    )
)
_UNICAST: Final = ipaddress.ip_network("2000::/3")
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_MOST_LOOK_UPS: Final = 16


class Refused(Exception):
    """Nothing may be sent there; the message says why, and repeats nothing of the address."""


def objection(url: str, *, private: bool = False) -> str | None:
    """Why a URL can't be a webhook's; None if it can. Where its host leads is only looked at when it is used."""
    if len(url) > MOST_CHARACTERS or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return f"the URL must be at most {MOST_CHARACTERS} plain ASCII characters; percent-encode others"
    try:
        parsed = httpx.URL(url)
        port, host = parsed.port, parsed.host
    except (httpx.InvalidURL, ValueError):
        return "this is no URL: send one like https://example.com/hooks"
    if parsed.scheme not in ("https", "http") or not host:
        return "this is no URL of the web: send one like https://example.com/hooks"
    if parsed.scheme == "http" and not private:
        return "the URL must begin with https://"
    if parsed.userinfo:
        return "leave user name and password out of the URL: deliveries are signed instead"
    if parsed.fragment:
        return "leave out what follows # in the URL"
    lowest = 1 if private else LOWEST_FREE_PORT
    if port is not None and port != 443 and not lowest <= port <= HIGHEST_PORT:
        return f"the port must be 443, or from {lowest} to {HIGHEST_PORT}"
    return None


def is_public(text: str) -> bool:
    """Whether an address belongs to somebody on the internet, and not to a network near us."""
    try:
        address: Address = ipaddress.ip_address(text)
    except ValueError:  # with a zone (fe80::1%eth0), which only a near one has
        return False
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return is_public(str(address.ipv4_mapped))
        if address in _NAT64:
            return is_public(str(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)))
        if address not in _UNICAST:
            return False
    is_special = address.is_private or address.is_reserved or address.is_multicast
    return address.is_global and not is_special and not any(address in network for network in _NOT_PUBLIC)


async def addresses_of(host: str, port: int, resolve: Resolve, *, private: bool) -> list[str]:
    """Where the host is. Raises Refused, also if only one of its addresses is near us: that is how rebinding begins."""
    try:
        found = await resolve(host, port)
    except (OSError, UnicodeError) as problem:
        raise Refused("the host can't be resolved") from problem
    if not found:
        raise Refused("the host can't be resolved")
    if not private and not all(is_public(each) for each in found):
        raise Refused("the host is not on the public internet")
    return found


class Resolver:
    """Asks the system, on threads of its own: a name server that hangs must not take those that others wait for."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_MOST_LOOK_UPS, "webhook-names")

    async def __call__(self, host: str, port: int) -> list[str]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        return list(dict.fromkeys(str(each[4][0]) for each in found))

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
