"""The token that says who we are to brokers with OAUTHBEARER: got by the client credentials grant, kept while valid."""

import re
import ssl
import threading
import time
from typing import NamedTuple
from urllib.parse import quote, urlsplit

import httpx

from adapters.kafka.client import Unavailable
from adapters.kafka.settings import KafkaSettings

_WAIT = 5.0
_SHORTEST = 10.0
"""Seconds that a token is taken to live if the endpoint says less, or nothing."""
_BEARER = re.compile(r"[A-Za-z0-9\-._~+/]{1,65000}=*")  # RFC 6750 §2.1, so that nothing else slips into the exchange


class Token(NamedTuple):
    """A bearer token, and when it ends (seconds since 1970)."""

    value: str
    expires: float


class TokenSource:
    """One for a client, whatever it opens; usable from any thread."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._url = settings.token_url or ""
        # RFC 6749 §2.3.1: both are form-encoded first, and a colon must not split the pair.
        self._auth = (quote(settings.username or "", safe=""), quote(settings.password or "", safe=""))
        self._form = {"grant_type": "client_credentials"}
        if settings.token_scope:
            self._form["scope"] = settings.token_scope
        self._trust = ssl.create_default_context()
        if settings.ca_file:
            self._trust.load_verify_locations(settings.ca_file)
        self._lock = threading.Lock()
        self._token = Token("", 0.0)
        self._renew = 0.0

    def token(self) -> Token:
        """One that still lives; asked for anew when four fifths of its life are over. Raises Unavailable."""
        with self._lock:
            now = time.time()
            if now >= self._renew:
                try:
                    self._token = self._ask(now)
                    self._renew = now + 0.8 * (self._token.expires - now)
                except Unavailable:
                    if now >= self._token.expires:
                        raise
            return self._token

    def _ask(self, now: float) -> Token:
        host = urlsplit(self._url).hostname
        try:
            with httpx.Client(verify=self._trust, timeout=_WAIT) as client:
                answer = client.post(self._url, data=self._form, auth=self._auth)
        except httpx.HTTPError as error:
            raise Unavailable(f"The token endpoint at {host} can't be reached ({type(error).__name__}).") from None
        if answer.status_code != 200:
            raise Unavailable(
                f"The token endpoint at {host} refused with {answer.status_code}: check the user name, the password "
                "and the scope that are set for Kafka."
            )
        try:
            found = answer.json()
            value, life = found["access_token"], float(found.get("expires_in", 0))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Unavailable(f"What the token endpoint at {host} answered holds no token.") from None
        if not isinstance(value, str) or not _BEARER.fullmatch(value):
            raise Unavailable(f"What the token endpoint at {host} answered is no bearer token.")
        return Token(value, now + max(life, _SHORTEST))
