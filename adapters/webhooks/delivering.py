"""Delivering: one step of one webhook, which tells its receiver the next event, and draws the consequences.

Events are told in the order of their positions. One that fails is tried again, later and later, before any that comes
after it, until it is delivered, or has been tried for as long as the webhook has patience and is dead-lettered.
"""

from collections.abc import Callable
from functools import partial
from secrets import SystemRandom
from typing import Final

import msgspec
import structlog

from adapters.webhooks.book import Attempt, Book
from adapters.webhooks.clerk import MOST_TRIES, Clerk
from adapters.webhooks.courier import Answer, Courier
from adapters.webhooks.hook import FAR, Errand, Hook
from adapters.webhooks.loading import Readers
from adapters.webhooks.message import Open, message_of
from adapters.webhooks.signing import signed
from domain.command import Command
from domain.event import Code, Entry, Instant
from domain.ledger import History, Query
from domain.webhooks import deliveries, secrets

SECOND: Final = 1_000_000
PAGE: Final = 50
GONE: Final = 410
_chance: Final = SystemRandom().random


class Policy(msgspec.Struct, frozen=True):
    """How long things may take, in microseconds."""

    first_delay: int = 5 * SECOND
    longest_delay: int = 15 * 60 * SECOND
    disable_after: int = 5 * 86_400 * SECOND
    """How long nothing may get through before the webhook is disabled."""
    say_every: int = 60 * SECOND
    """How often the ledger is told how far a busy webhook has come."""

    def delay(self, attempts: int, chance: float) -> int:
        """After so many failed attempts: twice as long each time, a quarter more or less."""
        delay = min(self.longest_delay, self.first_delay << min(attempts - 1, 30))
        return int(delay * (0.75 + chance / 2))


class Delivering:
    """Takes steps. Of one webhook, one at a time."""

    def __init__(
        self,
        *,
        history: History,
        readers: Readers,
        unseal: Open,
        clerk: Clerk,
        courier: Courier,
        book: Book,
        clock: Callable[[], int],
        policy: Policy,
        attempted: Callable[[Hook, Attempt], None],
    ) -> None:
        """`attempted` is told of each attempt once it is noted."""
        self._history = history
        self._readers = readers
        self._unseal = unseal
        self._clerk = clerk
        self._courier = courier
        self._book = book
        self._clock = clock
        self._policy = policy
        self._attempted = attempted

    async def step(self, hook: Hook, head: int) -> int | None:
        """When the next step is due; 0 for at once, None for once something has happened."""
        now = self._clock()
        errand = next((each for each in hook.errands if each.due <= now), None)
        if errand is not None:
            await self._run(hook, errand)
            return 0
        later = min((each.due for each in hook.errands), default=None)
        if hook.known.life != "active":
            await self.say(hook)
            await hook.hang_up()
            return later
        if hook.place.due > now:
            await hook.hang_up()
            return min(hook.place.due, later or hook.place.due)
        entry = await self._next(hook, head)
        if entry is None:
            await hook.hang_up()
            return later
        await self._deliver(hook, entry)
        return 0

    async def say(self, hook: Hook) -> None:
        """Tell the ledger how far the webhook has come, if it does not know."""
        if hook.unsaid:
            hook.unsaid, hook.said_at = False, self._clock()
            command = deliveries.AdvanceWebhook(hook.id, hook.place.turn, hook.place.reached)
            if not await self._clerk.tell(hook.tenant, command):
                hook.unsaid = True

    def is_to_be_said(self, hook: Hook) -> bool:
        return hook.unsaid and self._clock() - hook.said_at >= self._policy.say_every

    async def _next(self, hook: Hook, head: int) -> Entry | None:
        """What is to be told next, of what there is up to `head`."""
        while not hook.pending:
            if hook.read >= head:
                return None
            known, after = hook.known, hook.read
            asked = known.turn, known.types, after
            query = Query(types=tuple(known.types), after=after, until=head)
            found = await self._readers.read(partial(self._history.entries, hook.tenant, query, PAGE))
            if (known.turn, known.types, hook.read) != asked:
                continue
            hook.read = found[-1].position if len(found) == PAGE else head
            hook.pending.extend(each for each in found if hook.wants(each.event))
            if not hook.pending:
                await self._passed_over(hook)
        return hook.pending[0]

    async def _passed_over(self, hook: Hook) -> None:
        hook.place.reached = hook.read
        if hook.read - hook.noted >= FAR:
            hook.noted = hook.read
            hook.unsaid = True
            await self._book.note(hook.tenant, hook.id, hook.place)

    async def _deliver(self, hook: Hook, entry: Entry) -> None:
        turn, began = hook.known.turn, self._clock()
        answer = await self._send(hook, entry)
        attempt = self._attempt(entry, "event", hook.place.attempts + 1, began, answer)
        if hook.known.turn != turn:  # a replay was asked for meanwhile: it begins where that says
            await self._note(hook, attempt)
        elif answer.delivered:
            hook.passed(entry)
            hook.place.failing_since = 0
            await self._note(hook, attempt)
            if entry.position in hook.dead:
                await self._clerk.tell(hook.tenant, deliveries.SettleDeadLetter(hook.id, entry.position))
            if self.is_to_be_said(hook):
                await self.say(hook)
        else:
            await self._failed(hook, entry, attempt, answer)

    async def _failed(self, hook: Hook, entry: Entry, attempt: Attempt, answer: Answer) -> None:
        """It is tried again, or dead-lettered; or the webhook is disabled."""
        place, now = hook.place, self._clock()
        place.attempts += 1
        place.trying_since = place.trying_since or attempt.began_at
        place.failing_since = place.failing_since or attempt.began_at
        end = place.trying_since + hook.known.patience * SECOND
        delay = self._policy.delay(place.attempts, _chance())
        if answer.retry_after is not None:
            delay = max(delay, int(answer.retry_after * SECOND))
        because = self._why_disable(answer, now - place.failing_since)
        given_up = because is None and now >= end
        place.due = 0 if because or given_up else min(now + delay, max(end, now + SECOND))
        await self._note(hook, msgspec.structs.replace(attempt, next_at=place.due or None))
        if because is not None:
            disable = deliveries.DisableWebhook(hook.id, Code(because), Instant(place.failing_since))
            told = await self._tell(hook, disable, attempt)
        elif given_up:
            told = await self._give_up(hook, entry, attempt, place.trying_since)
        else:
            return
        if not told:
            hook.place.due = self._clock() + delay

    def _why_disable(self, answer: Answer, failing: int) -> str | None:
        if answer.status == GONE:
            return "the receiver answered 410 Gone: it wants no more"
        if failing >= self._policy.disable_after:
            return "nothing could be delivered for days"
        return None

    async def _give_up(self, hook: Hook, entry: Entry, attempt: Attempt, since: int) -> bool:
        turn = hook.known.turn
        told = await self._tell(hook, deliveries.GiveUpDelivery(hook.id, turn, _letter(hook, attempt, since)), attempt)
        if told and hook.known.turn == turn:
            hook.passed(entry)
            await self._book.note(hook.tenant, hook.id, hook.place)
        return told

    async def _tell(self, hook: Hook, command: Command, attempt: Attempt) -> bool:
        return await self._clerk.tell(hook.tenant, command, because_of=attempt.event_id, tries=MOST_TRIES)

    async def _run(self, hook: Hook, errand: Errand) -> None:
        """One attempt, whatever comes of it."""
        query = Query(after=errand.position - 1, until=errand.position)
        found = await self._readers.read(partial(self._history.entries, hook.tenant, query, 1))
        done = True
        if found:
            began = self._clock()
            answer = await self._send(hook, found[0])
            attempt = self._attempt(found[0], errand.kind, 1, began, answer)
            await self._note(hook, attempt)
            if errand.kind == "retry" and answer.delivered:
                done = await self._tell(hook, deliveries.SettleDeadLetter(hook.id, errand.position), attempt)
            elif errand.kind == "retry":
                failed = deliveries.GiveUpDelivery(hook.id, None, _letter(hook, attempt, began))
                done = await self._tell(hook, failed, attempt)
        if done:
            hook.errands.remove(errand)
        else:
            errand.due = self._clock() + self._policy.first_delay

    async def _send(self, hook: Hook, entry: Entry) -> Answer:
        try:
            url, keys = self._opened(hook)
            if url is None or not keys:
                return Answer(None, "the webhook's URL or secret can't be opened any more")
            body = message_of(entry, self._unseal if hook.known.personal else None)
            headers = {**signed(entry.meta.event_id, self._clock(), body, keys), "Content-Type": "application/json"}
            return await hook.line(self._courier).send(url, headers, body)
        except Exception as problem:
            structlog.get_logger().error("an event can't be told", tenant=hook.tenant, exc_info=problem)
            return Answer(None, "the event can't be told; the node's log says why")

    def _opened(self, hook: Hook) -> tuple[str | None, list[str]]:
        """Where to, and the secrets that sign: while one is replaced by another, both."""
        known = hook.known
        url = self._unseal(hook.tenant, "url", known.url) if known.url else None
        kept = [known.secret]
        if known.former_secret and known.former_until > self._clock():
            kept.append(known.former_secret)
        opened = [self._unseal(hook.tenant, secrets.FIELD, secrets.sealed_again(each)) for each in kept]
        return url, [each for each in opened if each is not None]

    def _attempt(self, entry: Entry, kind: str, number: int, began: int, answer: Answer) -> Attempt:
        return Attempt(
            position=entry.position,
            event_id=entry.meta.event_id,
            event_type=entry.event.type_name,
            kind=kind,
            attempt=number,
            began_at=began,
            took=max(0, self._clock() - began),
            delivered=answer.delivered,
            status=answer.status,
            reason=answer.reason,
        )

    async def _note(self, hook: Hook, attempt: Attempt) -> None:
        await self._book.note(hook.tenant, hook.id, hook.place, attempt)
        hook.noted = hook.place.reached
        self._attempted(hook, attempt)


def _letter(hook: Hook, attempt: Attempt, since: int) -> deliveries.WebhookDeliveryFailed:
    return deliveries.WebhookDeliveryFailed(
        hook.id,
        attempt.position,
        Code(attempt.event_id),
        Code(attempt.event_type),
        attempt.attempt,
        attempt.status,
        Code(attempt.reason),
        Instant(since),
    )
