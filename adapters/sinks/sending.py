"""Sending to a sink: as many events as its target takes at once, in the form that it takes."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from adapters.sinks.documents import Document, document_of
from adapters.sinks.target import Target
from adapters.sinks.targets import Sending, target_of
from adapters.webhooks.courier import Answer, Courier
from adapters.webhooks.hook import Hook
from adapters.webhooks.kinds import Carried, SinkWords
from adapters.webhooks.message import Open
from domain.event import Entry
from domain.sinks.life import KnownSink
from domain.webhooks import secrets

SECOND: Final = 1_000_000
AT_ONCE: Final = 50
"""Events that are opened before others may use the event loop."""
SETTINGS: Final = "settings"
"""The field that settings are sealed for."""


class Kept(NamedTuple):
    """A target, and what it was made from."""

    made_from: tuple[bytes, bytes, int, str]
    target: Target | None
    """None: its settings or secrets can't be opened any more."""


class Sinks(SinkWords):
    """See adapters.webhooks.kinds.Kind."""

    def __init__(self, unseal: Open, courier: Courier, clock: Callable[[], int]) -> None:
        self._unseal = unseal
        self._courier = courier
        self._clock = clock

    def gives_up_on(self, answer: Answer) -> bool:
        return answer.refused

    def most(self, hook: Hook) -> int:
        target = self._target(hook)
        most = 1 if target is None else target.most
        return most if hook.fewer is None else max(1, min(most, hook.fewer))

    def goes_at(self, hook: Hook, entries: Sequence[Entry]) -> int:
        target = self._target(hook)
        if target is None or not target.waits or len(entries) >= self.most(hook):
            return 0
        return entries[0].instant + target.waits * SECOND

    async def carry(self, hook: Hook, entries: Sequence[Entry]) -> Carried:
        target = self._target(hook)
        if target is None:
            return Carried(Answer(None, "the sink's settings or secrets can't be opened any more"), 1)
        if hook.connection(lambda: target) is not target:  # it is set otherwise since
            await hook.hang_up()
            hook.connection(lambda: target)
        return await target.send(await self._documents(hook, entries))

    async def _documents(self, hook: Hook, entries: Sequence[Entry]) -> list[Document]:
        known = _sink(hook)
        if not known.personal:
            return await asyncio.to_thread(lambda: [document_of(each, None, known.format) for each in entries])
        documents = []
        for number, each in enumerate(entries, 1):
            documents.append(document_of(each, self._unseal, known.format))
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
        return documents

    def _target(self, hook: Hook) -> Target | None:
        known = _sink(hook)
        if known.settings is None:
            return None
        made_from = (known.settings.ciphertext, known.secret, known.turn, known.format)
        kept: Kept | None = hook.kept
        if kept is None or kept.made_from != made_from:
            settings = self._unseal(hook.tenant, SETTINGS, known.settings)
            secret = self._unseal(hook.tenant, secrets.FIELD, secrets.sealed_again(known.secret))
            target = None
            if settings is not None and secret is not None:
                sending = Sending(self._courier, self._clock, hook.id, known.turn, known.format)
                target = target_of(known.target, settings, secret, sending)
            hook.kept = kept = Kept(made_from, target)
        return kept.target


def _sink(hook: Hook) -> KnownSink:
    if not isinstance(hook.known, KnownSink):
        raise TypeError("this is no sink")
    return hook.known
