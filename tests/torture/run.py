"""A run from its first tenant to its evidence."""

import asyncio
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import httpx
import msgspec

from tests.node import PATIENCE, until
from tests.torture.answers import SETUP
from tests.torture.checker import Evidence
from tests.torture.closing import let_rest, what_they_say
from tests.torture.cluster import KEYRING, LEDGER, Deployment
from tests.torture.faults import Bag, Faults
from tests.torture.load import Load
from tests.torture.noted import Fault, Notes
from tests.torture.topic import read_topic
from tests.torture.town import Town

DEPLOYMENT: Final = "_deployment"
QUIET: Final = (2.0, 6.0)
"""Seconds between a fault's end and the next fault, at least and at most."""


class Plan(msgspec.Struct, frozen=True):
    """How hard, and for how long."""

    seed: int = 1
    clients: int = 10
    tenants: int = 20
    minutes: float = 0.0
    """For how long faults are drawn; 0: each of `kinds` once, in their order."""
    kinds: tuple[str, ...] = ()
    """The faults; none: all of them."""
    pace: float = 0.1
    """Mean seconds between two commands of a client."""
    patience: float = 180.0
    """Seconds in which nodes must come to rest at the end."""


class Ran(msgspec.Struct):
    """What a run left."""

    evidence: Evidence
    seconds: float
    """Under load."""


def torture(deployment: Deployment, plan: Plan, say: Callable[[str], None] = lambda _: None) -> Ran:
    """Runs the plan; answers the evidence, for `checker.check`."""
    notes = Notes(tenants=[make_tenant(deployment, number) for number in range(plan.tenants)])
    began = time.monotonic()
    asyncio.run(_under_load(deployment, plan, notes, say))
    seconds = time.monotonic() - began
    say("healing, and waiting for the nodes to come to rest")
    deployment.heal()
    problems = let_rest(deployment.nodes, plan.patience)
    for number, why in problems.items():
        say(f"node {number} does not come to rest: {why}")
    servers = deployment.kafka.servers
    ledger = read_topic(servers, LEDGER)
    while True:  # a node may still sum up refusals that it counted: what they say must be of a topic that stood still
        says, logs = what_they_say(deployment, [*notes.tenants, DEPLOYMENT], problems, plan.patience)
        say("reading the topic")
        before, ledger = ledger, read_topic(servers, LEDGER)
        if len(ledger) == len(before):
            break
    evidence = Evidence(deployment.settings.partitions, notes, ledger, read_topic(servers, KEYRING), says, logs)
    return Ran(evidence, seconds)


async def _under_load(deployment: Deployment, plan: Plan, notes: Notes, say: Callable[[str], None]) -> None:
    towns = [Town(tenant) for tenant in notes.tenants]
    load = Load(deployment.urls, deployment.operator_key, towns, notes, plan.seed, plan.clients, plan.pace)
    try:
        await asyncio.to_thread(_do_faults, deployment, plan, notes, say)
    finally:
        await load.end()


def _do_faults(deployment: Deployment, plan: Plan, notes: Notes, say: Callable[[str], None]) -> None:
    chance = random.Random(f"plan-{plan.seed}")
    faults = Faults(deployment, plan.seed)
    kinds = list(plan.kinds or faults.kinds)
    bag, deadline = Bag(kinds, chance), time.monotonic() + plan.minutes * 60
    try:
        until(lambda: notes.answered >= plan.clients, "the first answers")
        while time.monotonic() < deadline if plan.minutes else len(notes.faults) < len(kinds):
            kind = bag.draw() if plan.minutes else kinds[len(notes.faults)]
            fault = faults.do(kind, notes)
            say(_told(fault, notes))
            notes.surprises += [f"node {node.number} has ended by itself" for node in deployment.fallen]
            if fault.problem or deployment.fallen:
                deployment.heal()
            if plan.minutes:
                time.sleep(chance.uniform(*QUIET))
    finally:
        faults.close()


def _told(fault: Fault, notes: Notes) -> str:
    waited = f"{fault.quiet - fault.healed:.1f} s later all goes on" if fault.quiet else "AND NOTHING GOES ON"
    lasted = f"{fault.healed - fault.begun:.1f} s"
    if fault.taken_over is not None:
        lasted += f", taken over after {fault.taken_over:.1f} s"
    return f"{fault.kind} ({fault.target}, {lasted}); {waited}; {notes.answered} answered {fault.problem}".rstrip()


def make_tenant(deployment: Deployment, number: int) -> str:
    """Asked again until it is there; its events are known by their correlation."""

    def made() -> str | None:
        node = deployment.nodes[number % len(deployment.nodes)]
        headers = {
            "Authorization": f"Bearer {deployment.operator_key}",
            "Idempotency-Key": f"{SETUP}{number}",
            "X-Request-ID": f"{SETUP}tenant-{number}",
        }
        body = {"name": f"Town {number}"}
        try:
            answer = httpx.post(f"{node.url}/v1/tenants", json=body, headers=headers, timeout=PATIENCE, trust_env=False)
        except httpx.HTTPError:
            return None
        return str(answer.json()["id"]) if answer.status_code == 201 else None

    return str(until(made, f"tenant {number}"))


def keep(ran: Ran, file: Path) -> None:
    """For looking into it later: `python -m tests.torture --check FILE`."""
    file.write_bytes(msgspec.msgpack.encode(ran))


def kept(file: Path) -> Ran:
    return msgspec.msgpack.decode(file.read_bytes(), type=Ran)
