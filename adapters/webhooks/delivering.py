"""Delivering: one step of one webhook or sink, which tells it the next events, and draws the consequences.

Events are told in the order of their positions. One that fails is tried again, later and later, before any that comes
after it, until it is delivered, or has been tried for as long as the webhook has patience and is dead-lettered.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from secrets import SystemRandom
from typing import Final

import msgspec
import structlog

from adapters.webhooks.book import Attempt, Book
from adapters.webhooks.clerk import MOST_TRIES, Clerk
from adapters.webhooks.courier import Answer
from adapters.webhooks.hook import FAR, Errand, Hook
from adapters.webhooks.kinds import Carried
from adapters.webhooks.loading import Readers
from domain.command import Command
from domain.event import Entry
from domain.ledger import History, Query

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
        clerk: Clerk,
        book: Book,
        clock: Callable[[], int],
        policy: Policy,
        attempted: Callable[[Hook, Attempt], None],
    ) -> None:
        """`attempted` is told of each attempt once it is noted."""
        self._history = history
        self._readers = readers
        self._clerk = clerk
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
        entries = await self._next(hook, head)
        if not entries:
            await hook.hang_up()
            return later
        if (goes_at := hook.kind.goes_at(hook, entries)) > now:
            await hook.hang_up()
            return min(goes_at, later or goes_at)
        await self._deliver(hook, entries, head)
        return 0

    async def say(self, hook: Hook) -> None:
        """Tell the ledger how far the webhook has come, if it does not know."""
        if hook.unsaid:
            hook.unsaid, hook.said_at = False, self._clock()
            command = hook.kind.advance(hook.id, hook.place.turn, hook.place.reached)
            if not await self._clerk.tell(hook.tenant, command, hook.kind.word + "s"):
                hook.unsaid = True

    def is_to_be_said(self, hook: Hook) -> bool:
        return hook.unsaid and self._clock() - hook.said_at >= self._policy.say_every

    async def _next(self, hook: Hook, head: int) -> list[Entry]:
        """What is to be told next, of what there is up to `head`: as much as goes at once, if there is so much."""
        most = hook.kind.most(hook)
        while len(hook.pending) < most and hook.read < head:
            known, after = hook.known, hook.read
            asked = known.turn, known.types, after
            query = Query(types=hook.asked, after=after, until=head)
            page = max(PAGE, most)
            found = await self._readers.read(partial(self._history.entries, hook.tenant, query, page))
            if (known.turn, known.types, hook.read) != asked:
                continue
            hook.read = found[-1].position if len(found) == page else head
            hook.pending.extend(each for each in found if hook.wants(each.event))
            if not hook.pending:
                await self._passed_over(hook)
        return list(islice(hook.pending, most))

    async def _passed_over(self, hook: Hook) -> None:
        hook.place.reached = hook.read
        if hook.read - hook.noted >= FAR:
            hook.noted = hook.read
            hook.unsaid = True
            await self._book.note(hook.tenant, hook.id, hook.place)

    async def _deliver(self, hook: Hook, entries: Sequence[Entry], head: int) -> None:
        turn, began = hook.known.turn, self._clock()
        carried = await self._carry(hook, entries)
        sent, answer = entries[: carried.count], carried.answer
        attempt = self._attempt(sent, "event", hook.place.attempts + 1, began, answer)
        if hook.known.turn != turn:  # a replay was asked for meanwhile: it begins where that says
            await self._note(hook, attempt)
        elif answer.delivered:
            until = sent[-1].position if answer.until is None else min(answer.until, head)
            hook.passed(until)
            hook.place.failing_since = 0
            hook.fewer = None if hook.fewer is None or len(sent) < hook.fewer else hook.fewer * 2
            await self._note(hook, attempt)
            for position in [each.position for each in sent if each.position in hook.dead and each.position <= until]:
                await self._clerk.tell(hook.tenant, hook.kind.settle(hook.id, position), hook.kind.word + "s")
            if self.is_to_be_said(hook):
                await self.say(hook)
        elif answer.refused and len(sent) > 1:  # one of them is why: fewer, until it stands alone
            hook.fewer = len(sent) // 2
            await self._note(hook, attempt)
        else:
            await self._failed(hook, sent[0], attempt, answer)

    async def _failed(self, hook: Hook, entry: Entry, attempt: Attempt, answer: Answer) -> None:
        """It is tried again, or dead-lettered; or the receiver is disabled."""
        place, now = hook.place, self._clock()
        may_give_up = hook.kind.gives_up_on(answer)
        place.attempts += 1
        place.failing_since = place.failing_since or attempt.began_at
        if may_give_up:
            place.trying_since = place.trying_since or attempt.began_at
        end = place.trying_since + hook.known.patience * SECOND
        delay = self._policy.delay(place.attempts, _chance())
        if answer.retry_after is not None:
            delay = max(delay, int(answer.retry_after * SECOND))
        because = self._why_disable(answer, now - place.failing_since)
        given_up = because is None and may_give_up and now >= end
        due = min(now + delay, max(end, now + SECOND)) if may_give_up else now + delay
        place.due = 0 if because or given_up else due
        await self._note(hook, msgspec.structs.replace(attempt, next_at=place.due or None))
        if because is not None:
            told = await self._tell(hook, hook.kind.disable(hook.id, because, place.failing_since), attempt)
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
        told = await self._tell(hook, hook.kind.give_up(hook.id, turn, attempt, since), attempt)
        if told and hook.known.turn == turn:
            hook.passed(entry.position)
            await self._book.note(hook.tenant, hook.id, hook.place)
        return told

    async def _tell(self, hook: Hook, command: Command, attempt: Attempt) -> bool:
        of = hook.kind.word + "s"
        return await self._clerk.tell(hook.tenant, command, of, because_of=attempt.event_id, tries=MOST_TRIES)

    async def _run(self, hook: Hook, errand: Errand) -> None:
        """One attempt, whatever comes of it."""
        query = Query(after=errand.position - 1, until=errand.position)
        found = await self._readers.read(partial(self._history.entries, hook.tenant, query, 1))
        done = True
        if found:
            began = self._clock()
            answer = (await self._carry(hook, found)).answer
            attempt = self._attempt(found, errand.kind, 1, began, answer)
            await self._note(hook, attempt)
            if errand.kind == "retry" and answer.delivered:
                done = await self._tell(hook, hook.kind.settle(hook.id, errand.position), attempt)
            elif errand.kind == "retry":
                failed = hook.kind.give_up(hook.id, None, attempt, began)
                done = await self._tell(hook, failed, attempt)
        if done:
            hook.errands.remove(errand)
        else:
            errand.due = self._clock() + self._policy.first_delay

    async def _carry(self, hook: Hook, entries: Sequence[Entry]) -> Carried:
        try:
            return await hook.kind.carry(hook, entries)
        except Exception as problem:
            structlog.get_logger().error("an event can't be told", tenant=hook.tenant, exc_info=problem)
            return Carried(Answer(None, "the event can't be told; the node's log says why"), 1)

    def _attempt(self, sent: Sequence[Entry], kind: str, number: int, began: int, answer: Answer) -> Attempt:
        entry = sent[0]
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
            events=len(sent),
        )

    async def _note(self, hook: Hook, attempt: Attempt) -> None:
        hook.trouble = None if attempt.delivered else attempt.reason
        await self._book.note(hook.tenant, hook.id, hook.place, attempt)
        hook.noted = hook.place.reached
        self._attempted(hook, attempt)
