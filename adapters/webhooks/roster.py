"""The roster: the webhooks that this node delivers to, as the histories of its tenants say, kept current by commits."""

import asyncio
from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import Final

from adapters.webhooks.book import Book, Place
from adapters.webhooks.hook import Errand, Hook
from adapters.webhooks.loading import LIVES, Found, Readers, has_webhooks, life_of, webhooks_of
from domain.event import Instant, Recorded
from domain.ids import DEPLOYMENT, TenantId, WebhookId
from domain.ledger import History
from domain.webhooks import deliveries, life

CHUNK: Final = 500
"""Tenants that are looked at before others may use the thread."""
_WEBHOOK_EVENTS: Final = frozenset({*life.LIFE, *deliveries.LETTERS, deliveries.WebhookTestRequested})


class Roster:
    """Lives on the event loop of the ledger."""

    def __init__(
        self,
        history: History,
        readers: Readers,
        book: Book,
        clock: Callable[[], int],
        mine: Callable[[TenantId], bool],
        stir: Callable[[Hook], None],
    ) -> None:
        """`stir` is called with each webhook that may have something to do."""
        self._history = history
        self._readers = readers
        self._book = book
        self._clock = clock
        self._mine = mine
        self._stir = stir
        self._tenants: dict[TenantId, dict[WebhookId, Hook]] = {}
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

    def get(self, tenant: TenantId, webhook: WebhookId) -> Hook | None:
        return self._tenants.get(tenant, {}).get(webhook)

    def may_be_told(self, tenant: TenantId) -> bool:
        """Whether this node delivers for the tenant now."""
        return self._lives.get(tenant) == "active" and self._mine(tenant)

    def follow(self, recorded: Iterable[Recorded]) -> bool:
        """What a commit brought; whether there is a tenant to load now."""
        for each in recorded:
            kind = type(each.event)
            if kind not in _WEBHOOK_EVENTS and kind not in LIVES:
                continue
            if each.tenant in self._loading:
                self._loading[each.tenant].append(each)
            elif each.tenant in self._tenants:
                self._follow(each)
            elif kind is life.WebhookCreated and self._mine(each.tenant):
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
            for tenant in await self._readers.read(partial(has_webhooks, self._history, chunk)):
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
                lambda: (life_of(self._history, tenant), webhooks_of(self._history, tenant))
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
        hook = Hook(tenant, found.id, known, place, self._clock())
        hook.unsaid = place.reached > known.reached
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
        if isinstance(event, life.WebhookCreated) and self.get(tenant, event.webhook) is None:
            known = life.KnownWebhook(Instant(0))
            known.evolve(recorded)
            hook = Hook(tenant, event.webhook, known, Place(known.turn, known.reached), self._clock())
            self._tenants[tenant][event.webhook] = hook
            return
        found = self.get(tenant, event.webhook)  # type: ignore[attr-defined]
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
