"""The tokens of filters and paths: words, quoted strings, brackets, each with its place in the text."""

import re
from collections.abc import Callable
from typing import NoReturn

import msgspec

from adapters.scim.errors import ScimError

MAX_LENGTH = 8192
"""Characters of a filter or path; RFC 7644 names no limit, and no client needs as much."""

MAX_TOKENS = 500
"""Bounds how many tests a filter makes of every resource it is asked about."""

_TOKEN = re.compile(
    r"""[ \t\r\n]*(?:
        (?P<string>"(?:[^"\\]|\\.)*")
      | (?P<mark>[()\[\]])
      | (?P<word>[^ \t\r\n()\[\]"]+)
    )""",
    re.VERBOSE | re.DOTALL,
)


class Token(msgspec.Struct, frozen=True):
    kind: str
    text: str
    start: int

    def is_mark(self, mark: str) -> bool:
        return self.kind == "mark" and self.text == mark

    def is_word(self, word: str) -> bool:
        return self.kind == "word" and self.text.lower() == word


_END = Token("end", "", -1)


class Scanner:
    """Reads tokens one by one; `refuse` says which SCIM error bad text is."""

    def __init__(self, text: str, refuse: Callable[[str], ScimError]) -> None:
        self._refuse = refuse
        if len(text) > MAX_LENGTH:
            raise refuse(f"is longer than {MAX_LENGTH} characters")
        if not is_clean(text):
            raise refuse("holds a NUL or a lone surrogate")
        self._tokens = self._scan(text)
        self._next = 0

    def _scan(self, text: str) -> list[Token]:
        tokens: list[Token] = []
        place, end = 0, len(text.rstrip(" \t\r\n"))
        while place < end:
            found = _TOKEN.match(text, place)
            if len(tokens) == MAX_TOKENS:
                raise self._refuse(f"has more than {MAX_TOKENS} words and marks")
            if found is None:
                raise self._refuse(f"has a quote that does not end, at character {place + 1}")
            kind = found.lastgroup or ""
            tokens.append(Token(kind, found[kind], found.start(kind)))
            place = found.end()
        return tokens

    def peek(self, ahead: int = 0) -> Token:
        place = self._next + ahead
        return self._tokens[place] if place < len(self._tokens) else _END

    def take(self) -> Token:
        token = self.peek()
        self._next += 1
        return token

    def take_word(self, expected: str) -> str:
        token = self.take()
        if token.kind != "word":
            self.refuse(token, expected)
        return token.text

    def take_mark(self, mark: str) -> None:
        token = self.take()
        if not token.is_mark(mark):
            self.refuse(token, mark)

    def finish(self) -> None:
        if self.peek() is not _END:
            self.refuse(self.peek(), "the end")

    def refuse(self, token: Token, expected: str) -> NoReturn:
        where = "at the end" if token is _END else f"at character {token.start + 1}"
        raise self._refuse(f"should have {expected} {where}")


def is_clean(text: str) -> bool:
    """Whether text can be stored anywhere: no NUL, and nothing that is no Unicode scalar value."""
    if "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
