"""A small history by the real ledger, in memory, told as a run's evidence: what the checker's own tests doctor."""

import struct
from collections.abc import Sequence
from typing import Any, Final

from adapters.index.evidence import LogEvidence
from domain.access.owners import OWNER
from domain.access.roles import AssignRole
from domain.command import Command, Refused
from domain.directory.groups import AddMember, CreateGroup, RenameGroup
from domain.directory.users import DeactivateUser, DeleteUser, ProvisionUser, ReviseUser
from domain.event import Code, Recorded
from domain.flags import ArchiveFlag, DefineFlag, SwitchFlagOn
from domain.ids import FlagId, GroupId, UserId
from domain.ledger import Actor, Authority, Caller, Idempotency
from domain.tenants import CreateTenant
from domain.view import Rows, Versioned
from domain.view_hash import hash_of
from projections.every import EVERY_VIEW
from tests.domain.people import PLANET_EXPRESS, named, sealed
from tests.domain.world import World
from tests.torture.answers import SETUP
from tests.torture.checker import Evidence
from tests.torture.histories import placed_in
from tests.torture.nodes import LogSays, TenantSays
from tests.torture.noted import Asked, Attempt, Notes, Read, Wish
from tests.torture.records import Ledger, sealing_keys
from tests.torture.topic import RING, Raw
from tests.torture.wishes import VARIANTS

PARTITIONS: Final = 2
PARTITION: Final = placed_in(PLANET_EXPRESS, PARTITIONS)
ADA, BOB, CYD, DEE = (UserId(f"usr_{name}") for name in ("ada", "bob", "cyd", "dee"))
GROUP, FLAG = GroupId("grp_north"), FlagId("flg_north")
TAKEN_OVER_BEFORE: Final = (0, 4, 9)
"""Commits before each takeover."""


class Staged:
    """Commands are asked one after another; each that leaves a trace is a commit. Its world's sequencer runs."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.notes = Notes(tenants=[PLANET_EXPRESS])
        self.time = 100.0
        self._batches: list[list[bytes]] = []

    async def prepare(self) -> None:
        await self.run(CreateTenant(PLANET_EXPRESS, sealed(PLANET_EXPRESS, "Planet Express")), f"{SETUP}tenant")

    async def run(self, command: Command, correlation: str, key: bytes | None = None) -> tuple[int, int]:
        """Recorded, whatever is noted; answers status and position."""
        caller = Caller(
            PLANET_EXPRESS,
            Actor("service", "the_test"),
            Authority(type(command).permission, "dec_test"),
            correlation,
            idempotency=Idempotency(key, key) if key else None,
        )
        before = self._head
        try:
            outcome = await self.world.ledger.execute(command, caller)
            status, position = 200, outcome.position
        except Refused as refused:
            status, position = {"Missing": 404}.get(type(refused).__name__, 409), 0
        stored = [row for (row,) in self._rows(before)]
        if stored:
            self._batches.append(stored)
        return status, position

    async def ask(self, wish: Wish, command: Command, *, keyed: bool = True, if_match: int | None = None) -> Asked:
        """Asked by a client, and noted."""
        number = len(self.notes.asked) + 1
        correlation = f"load-0-{number:06}-1"
        asked = Asked(0, PLANET_EXPRESS, wish, self.tick(), keyed, if_match)
        before = self._head
        asked.status, asked.position = await self.run(command, correlation, correlation.encode() if keyed else None)
        asked.end = self.tick()
        asked.attempts.append(Attempt(correlation, 0, asked.call, asked.end, asked.status))
        effect = any(name != "CommandHadNoEffect" for name in self._names(before))
        asked.result = "refused" if asked.status >= 400 else "done" if effect else "nothing"
        self.notes.take(asked)
        return asked

    def read(self, kind: str, subject: str, found: Any, position: int | None = None) -> Read:
        call = self.tick()
        at = (self._head if position is None else position) if found is not None else 0
        read = Read(0, PLANET_EXPRESS, kind, subject, 1, call, self.tick(), at, found)
        self.notes.reads.append(read)
        return read

    def tick(self) -> float:
        self.time += 0.5
        return self.time

    @property
    def _head(self) -> int:
        entries = self.world.entries()
        return entries[-1].position if entries else 0

    def _rows(self, after: int) -> Sequence[tuple[bytes]]:
        return self.world.database.writer.execute(
            "SELECT CAST(stored AS BLOB) FROM events WHERE position > ? ORDER BY position", (after,)
        ).fetchall()

    def _names(self, after: int) -> list[str]:
        return [type(each.event).__name__ for each in self.world.entries(after=after)]

    def evidence(self) -> Evidence:
        """As if three owners, one after another, had written it."""
        ledger, keys = Ledger(PARTITION, PARTITIONS, PLANET_EXPRESS), set[str]()
        for number, stored in enumerate(self._batches):
            if number in TAKEN_OVER_BEFORE:
                ledger.take_over()
            ledger.commit(stored)
            keys |= {each for value in stored for each in sealing_keys(value)}
        ring = [
            Raw(PARTITION, place, f"dek|{key}".encode(), b"", [(RING, struct.pack(">Q", place + 1))])
            for place, key in enumerate(sorted(keys))
        ]
        tree = LogEvidence(self.world.database, None).tree(PLANET_EXPRESS)
        hashes = {"stored": self._hashes(), "resident": self._hashes()}
        says = [TenantSays(node, PLANET_EXPRESS, True, tree.size, tree.root.hex(), hashes) for node in range(3)]
        logs = [LogSays(node, True, ledger.sequence, ledger.whole_chain) for node in range(3)]
        return Evidence(PARTITIONS, self.notes, ledger.records, ring, says, logs)

    def _hashes(self) -> dict[str, str]:
        rows = Rows(EVERY_VIEW)
        for each in self.world.entries():
            rows.evolve(Recorded(each.tenant, each.position, each.instant, each.event))
        return {
            view.name: hash_of(
                Versioned(key, rows.since[view.name][key], row) for key, row in rows.rows[view.name].items()
            ).hex()
            for view in EVERY_VIEW
        }


async def play(stage: Staged) -> None:
    """A history in which something of most kinds happens, noted by one client."""
    await stage.prepare()
    for user, name in ((ADA, "ada"), (BOB, "bob"), (CYD, "cyd")):
        asked = await stage.ask(Wish("provision_user", text=name), ProvisionUser(user, named(user, name)))
        asked.made = user
    stage.read("user", ADA, ["ada", True, 2])
    await stage.ask(Wish("assign_role", OWNER, other=ADA), AssignRole(OWNER, ADA))
    await stage.ask(Wish("deactivate_user", ADA), DeactivateUser(ADA))
    await stage.ask(Wish("rename_user", BOB, "cyd"), ReviseUser(BOB, named(BOB, "cyd")))
    await stage.ask(Wish("rename_user", BOB, "bert"), ReviseUser(BOB, named(BOB, "bert")), if_match=3)
    await stage.ask(Wish("rename_user", BOB, "bert"), ReviseUser(BOB, named(BOB, "bert")))
    stage.read("named", "bert", [BOB])
    asked = await stage.ask(Wish("create_group", text="north"), CreateGroup(GROUP, sealed(GROUP, "north")))
    asked.made = GROUP
    await stage.ask(Wish("add_member", GROUP, other=CYD), AddMember(GROUP, CYD))
    stage.read("members", GROUP, [CYD])
    await stage.ask(Wish("rename_group", GROUP, "south"), RenameGroup(GROUP, sealed(GROUP, "south")))
    asked = await stage.ask(
        Wish("define_flag", text="north"),
        DefineFlag(FLAG, Code("north"), Code("boolean"), VARIANTS, Code("off"), Code("off")),
    )
    asked.made = FLAG
    stage.read("evaluation", "north", ["off", "DEFAULT"])
    await stage.ask(Wish("delete_user", CYD), DeleteUser(CYD))
    stage.read("user", CYD, None)
    await stage.ask(Wish("delete_user", CYD), DeleteUser(CYD), keyed=False)
    await stage.ask(Wish("switch_flag_on", FLAG), SwitchFlagOn(FLAG), keyed=False)
    await stage.ask(Wish("archive_flag", FLAG), ArchiveFlag(FLAG))
    await stage.ask(Wish("provision_user", text="dee"), ProvisionUser(DEE, named(DEE, "dee")))
    stage.notes.asked[-1].made = DEE
