"""Access tokens of OAuth 2.0, for targets that want one: asked for when the last is about to end (RFC 6749 §4.4)."""

import json
from collections.abc import Callable
from typing import Final
from urllib.parse import urlencode

from adapters.sinks.target import Lines
from adapters.webhooks.courier import Answer

EARLY: Final = 120 * 1_000_000
"""Microseconds before its end at which a token is not used any more."""
LONGEST: Final = 86_400
FORM: Final = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}


class Tokens:
    """One token at a time. `asked` makes the form that asks for one, at an instant."""

    def __init__(
        self, lines: Lines, url: str, asked: Callable[[int], dict[str, str]], clock: Callable[[], int]
    ) -> None:
        self._lines = lines
        self._url = url
        self._asked = asked
        self._clock = clock
        self._token = ""
        self._until = 0

    def drop(self) -> None:
        """It was refused: ask for another next time."""
        self._until = 0

    async def get(self) -> str | Answer:
        """The token, or why there is none."""
        now = self._clock()
        if now < self._until:
            return self._token
        body = urlencode(self._asked(now)).encode()
        answer = await self._lines.send(self._url, FORM, body, keep=True)
        if not answer.delivered:
            return Answer(answer.status, f"no token was given: {answer.reason}", answer.retry_after)
        try:
            said = json.loads(answer.body)
            token, lasts = said["access_token"], int(said.get("expires_in", 300))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return Answer(answer.status and None, "no token was given: the answer holds none")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            return Answer(None, "no token was given: the answer holds none")
        self._token, self._until = token, now + min(max(lasts, 0), LONGEST) * 1_000_000 - EARLY
        return token
