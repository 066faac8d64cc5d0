"""Telling a webhook: one event at a time, signed, as CloudEvents."""

from collections.abc import Callable, Sequence

from adapters.webhooks.courier import Answer, Courier, Line
from adapters.webhooks.hook import Hook
from adapters.webhooks.kinds import Carried, WebhookWords
from adapters.webhooks.message import Open, message_of
from adapters.webhooks.signing import signed
from domain.event import Entry
from domain.webhooks import secrets
from domain.webhooks.life import KnownWebhook


class Webhooks(WebhookWords):
    """See adapters.webhooks.kinds.Kind."""

    def __init__(self, unseal: Open, courier: Courier, clock: Callable[[], int]) -> None:
        self._unseal = unseal
        self._courier = courier
        self._clock = clock

    def gives_up_on(self, answer: Answer) -> bool:
        return True

    def most(self, hook: Hook) -> int:
        return 1

    def goes_at(self, hook: Hook, entries: Sequence[Entry]) -> int:
        return 0

    async def carry(self, hook: Hook, entries: Sequence[Entry]) -> Carried:
        entry = entries[0]
        url, keys = self._opened(hook)
        if url is None or not keys:
            return Carried(Answer(None, "the webhook's URL or secret can't be opened any more"), 1)
        body = message_of(entry, self._unseal if hook.known.personal else None)
        headers = {**signed(entry.meta.event_id, self._clock(), body, keys), "Content-Type": "application/json"}
        line: Line = hook.connection(self._courier.line)
        return Carried(await line.send(url, headers, body), 1)

    def _opened(self, hook: Hook) -> tuple[str | None, list[str]]:
        """Where to, and the secrets that sign: while one is replaced by another, both."""
        known = hook.known
        if not isinstance(known, KnownWebhook):
            raise TypeError("this is no webhook")
        url = self._unseal(hook.tenant, "url", known.url) if known.url else None
        kept = [known.secret]
        if known.former_secret and known.former_until > self._clock():
            kept.append(known.former_secret)
        opened = [self._unseal(hook.tenant, secrets.FIELD, secrets.sealed_again(each)) for each in kept]
        return url, [each for each in opened if each is not None]
