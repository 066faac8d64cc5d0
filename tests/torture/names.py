"""Names of tenants: two never have one at once, though their histories are in different partitions."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import inf
from typing import NamedTuple

from domain.tenants import TenantCreated, TenantDeleted, TenantRenamed
from tests.torture.histories import Done
from tests.torture.noted import Asked
from tests.torture.verdict import Verdict

FOUNDED = "a tenant is founded once if its founder was told so, and never if it was refused"
UNIQUE = "no two tenants have one name at once"


class Held(NamedTuple):
    """Surely so: after the answer that said so, and before anybody asked for something else."""

    name: str
    tenant: str
    since: float
    until: float


def check_names(founded: Sequence[Asked], histories: Mapping[str, Sequence[Done]], verdict: Verdict) -> None:
    asked_by = {attempt.correlation: asked for asked in founded for attempt in asked.attempts}
    created: dict[int, list[str]] = defaultdict(list)
    held: list[Held] = []
    for tenant, history in histories.items():
        for done in history:
            asked = asked_by.get(done.correlation)
            if asked is not None and any(isinstance(each.event, TenantCreated) for each in done.lines):
                created[id(asked)].append(tenant)
        held += _held(tenant, history, asked_by)
    for asked in founded:
        if asked.wish.kind == "found_tenant":
            _check_founded(asked, created[id(asked)], verdict)
    _check_unique(held, verdict)


def _check_founded(asked: Asked, tenants: Sequence[str], verdict: Verdict) -> None:
    what = f"{asked.wish.text} ({asked.attempts[0].correlation}) was answered {asked.status}, founded: {tenants}"
    match asked.result:
        case "done":
            verdict.must(tenants == [asked.made], FOUNDED, what)
        case "refused":
            verdict.must(not tenants, FOUNDED, what)
        case _:
            verdict.must(len(tenants) <= 1, FOUNDED, what)


def _held(tenant: str, history: Iterable[Done], asked_by: Mapping[str, Asked]) -> list[Held]:
    """The last one has no end: what was never answered may have been recorded at any time before that of others."""
    held: list[Held] = []
    for done in history:
        asked = asked_by.get(done.correlation)
        event = done.lines[-1].event
        if asked is None or not isinstance(event, TenantCreated | TenantRenamed | TenantDeleted):
            continue
        if held:
            held[-1] = held[-1]._replace(until=min(held[-1].until, asked.call))
        if not isinstance(event, TenantDeleted):
            since = asked.end if asked.result == "done" else inf
            held.append(Held(asked.wish.text, tenant, since, inf))
    return held


def _check_unique(held: Sequence[Held], verdict: Verdict) -> None:
    by_name: dict[str, list[Held]] = defaultdict(list)
    for each in held:
        by_name[each.name].append(each)
    for name, all_of in by_name.items():
        at_the_end = {each.tenant for each in all_of if each.until == inf}
        verdict.must(len(at_the_end) <= 1, UNIQUE, f"{name} is in the end that of {sorted(at_the_end)}")
        before: Held | None = None
        for each in sorted((each for each in all_of if each.since < each.until), key=lambda each: each.since):
            if before is not None and each.tenant != before.tenant:
                verdict.must(before.until <= each.since, UNIQUE, f"{name} is that of {before.tenant} and {each.tenant}")
            if before is None or each.until > before.until:
                before = each
