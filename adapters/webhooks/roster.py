"""The roster: the webhooks and sinks that this node delivers to, as histories say, kept current by commits."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from typing import Final

from adapters.webhooks.book import Book, Place
from adapters.webhooks.hook import Errand, Hook
from adapters.webhooks.kinds import Kind, ReceiverId
from adapters.webhooks.loading import LIVES, Found, Readers, has_receivers, life_of, receivers_of
from domain.event import Event, Recorded
from domain.ids import DEPLOYMENT, TenantId
from domain.ledger import History

CHUNK: Final = 500
"""Tenants that are looked at before others may use the thread."""


class Roster:
    """Lives on the event loop of the ledger."""

    def __init__(
        self,
        history: History,
        readers: Readers,
        book: Book,
        kinds: Sequence[Kind],
        clock: Callable[[], int],
        mine: Callable[[TenantId], bool],
        stir: Callable[[Hook], None],
    ) -> None:
        """`stir` is called with each webhook that may have something to do."""
        self._history = history
        self._readers = readers
        self._book = book
        self._kinds = kinds
        self._kind_of: dict[type[Event], Kind] = {
            event: kind for kind in kinds for event in (*kind.life, *kind.letters, *kind.parts)
        }
        self._clock = clock
        self._mine = mine
        self._stir = stir
        self._tenants: dict[TenantId, dict[ReceiverId, Hook]] = {}
        self._lives: dict[TenantId, str] = {}
        self._looked_at: set[TenantId] = set()
        self._loading: dict[TenantId, list[Recorded]] = {}
        """What was recorded of a tenant while its history is being read."""
        self.to_load: set[TenantId] = set()
        self.partings: set[asyncio.Task[None]] = set()
        """What is being put away."""

    def all(self) -> list[Hook]:
        return [hook for hooks in self._tenants.values() for hook in hooks.values()]

    def of(self, tenant: TenantId) -> Collection[Hook]:
        return self._tenants.get(tenant, {}).values()

    def get(self, tenant: TenantId, id: ReceiverId) -> Hook | None:
        return self._tenants.get(tenant, {}).get(id)

    def may_be_told(self, tenant: TenantId) -> bool:
        """Whether this node delivers for the tenant now."""
        return self._lives.get(tenant) == "active" and self._mine(tenant)

    def follow(self, recorded: Iterable[Recorded]) -> bool:
        """What a commit brought; whether there is a tenant to load now."""
        for each in recorded:
            event = type(each.event)
            kind = self._kind_of.get(event)
            if kind is None and event not in LIVES:
                continue
            if each.tenant in self._loading:
                self._loading[each.tenant].append(each)
            elif each.tenant in self._tenants:
                self._follow(each)
            elif kind is not None and event is kind.created and self._mine(each.tenant):
                self.to_load.add(each.tenant)
        return bool(self.to_load)

    def drop_others(self) -> None:
        """Forget the tenants that are another node's."""
        self._looked_at = {tenant for tenant in self._looked_at if self._mine(tenant)}
        for tenant in [tenant for tenant in self._tenants if not self._mine(tenant)]:
            self._drop(tenant)

    async def look(self) -> None:
        """Load the webhooks of tenants that have become this node's."""
        self.drop_others()
        tenants = [each for each in await self._readers.read(self._history.tenants) if each != DEPLOYMENT]
        new = [each for each in tenants if each not in self._looked_at and self._mine(each)]
        for start in range(0, len(new), CHUNK):
            chunk = new[start : start + CHUNK]
            # What is recorded from now on is brought by commits.
            for tenant in await self._readers.read(partial(has_receivers, self._history, chunk, self._kinds)):
                await self.load(tenant)
            self._looked_at.update(chunk)

    def leave(self, hook: Hook) -> None:
        """Stop what is under way: it is not delivered to any more, or not now."""
        if hook.task is not None:
            hook.task.cancel()
        else:
            parting = asyncio.get_running_loop().create_task(self.see_off(hook))
            self.partings.add(parting)
            parting.add_done_callback(self.partings.discard)

    async def see_off(self, hook: Hook) -> None:
        """What is left to do once it is left and nothing is under way."""
        await hook.hang_up()
        if not hook.known.lives:
            await self._book.forget(hook.tenant, hook.id)

    async def load(self, tenant: TenantId) -> None:
        """Read a tenant's webhooks from its history, unless they are there."""
        self.to_load.discard(tenant)
        if tenant in self._loading or tenant in self._tenants:
            return
        self._loading[tenant] = []
        try:
            alive, found = await self._readers.read(
                lambda: (life_of(self._history, tenant), receivers_of(self._history, tenant, self._kinds))
            )
            hooks = [await self._hook(tenant, each) for each in found]
        finally:
            recorded = self._loading.pop(tenant)
        if not self._mine(tenant) or alive == "deleted":
            return
        self._lives[tenant] = alive
        self._tenants[tenant] = {hook.id: hook for hook in hooks}
        for each in recorded:
            self._follow(each)
        for hook in self.of(tenant):
            self._stir(hook)

    async def _hook(self, tenant: TenantId, found: Found) -> Hook:
        """It goes on where this node was, unless the ledger knows better."""
        known, place = found.known, await self._book.place(tenant, found.id)
        if place is None or place.turn != known.turn or place.reached < known.reached:
            place = Place(known.turn, known.reached)
        hook = Hook(tenant, found.id, found.kind, known, place, self._clock())
        hook.unsaid = place.reached > known.reached
        if place.attempts:
            last = await self._book.attempts(tenant, found.id, position=None, before=1 << 62, limit=1)
            hook.trouble = next((each.reason for each in last if not each.delivered), None)
        hook.dead = found.dead
        hook.errands.extend(Errand("retry", position) for position in sorted(found.retrying))
        return hook

    def _follow(self, recorded: Recorded) -> None:
        tenant, event = recorded.tenant, recorded.event
        if tenant not in self._tenants:
            return
        if type(event) in LIVES:
            self._lives[tenant] = LIVES[type(event)]
            if self._lives[tenant] == "deleted":
                self._drop(tenant)
            for hook in self.of(tenant):
                self._stir(hook)
            return
        kind = self._kind_of[type(event)]
        id: ReceiverId = getattr(event, kind.word)
        found = self.get(tenant, id)
        if found is None and type(event) is kind.created:
            known = kind.known()
            known.evolve(recorded)
            hook = Hook(tenant, id, kind, known, Place(known.turn, known.reached), self._clock())
            self._tenants[tenant][id] = hook
            return
        if found is not None:
            found.follow(recorded)
            if found.known.lives:
                self._stir(found)
            else:
                del self._tenants[tenant][found.id]
                self.leave(found)

    def _drop(self, tenant: TenantId) -> None:
        self._lives.pop(tenant, None)
        for hook in self._tenants.pop(tenant, {}).values():
            self.leave(hook)
