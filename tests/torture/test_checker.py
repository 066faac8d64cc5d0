"""The checker finds each kind of violation: in a clean run's evidence one thing is changed, and it says which."""

from collections.abc import AsyncIterator, Callable

import msgspec
import pytest

from domain.directory.users import ProvisionUser, ReviseUser
from domain.ids import UserId
from tests.domain.people import PLANET_EXPRESS, named
from tests.domain.world import running
from tests.torture import answers, histories, nodes, partitions, replayed
from tests.torture.checker import Evidence, check
from tests.torture.noted import Attempt, Fault, Wish
from tests.torture.records import Ledger, fields_of, moved, remarked, rewritten
from tests.torture.staged import ADA, BOB, CYD, FLAG, PARTITION, Staged, play
from tests.torture.topic import Raw

Doctor = Callable[[Evidence], object]


@pytest.fixture
async def stage() -> AsyncIterator[Staged]:
    async with running() as world:
        stage = Staged(world)
        await play(stage)
        yield stage


def failed(evidence: Evidence) -> set[str]:
    return set(check(evidence).failed)


def at(evidence: Evidence, position: int) -> int:
    """The place of an event among the records; the stage has one tenant."""
    events = [place for place, record in enumerate(evidence.ledger) if record.key is not None]
    return events[position - 1]


async def test_a_run_in_which_all_held_is_clean(stage: Staged) -> None:
    verdict = check(stage.evidence())
    assert verdict.clean, verdict.text()
    assert len(verdict.looked) > 25


def drop(position: int) -> Doctor:
    return lambda evidence: evidence.ledger.pop(at(evidence, position))


def change(position: int, /, **fields: object) -> Doctor:
    def doctor(evidence: Evidence) -> None:
        place = at(evidence, position)
        evidence.ledger[place] = rewritten(evidence.ledger[place], **fields)

    return doctor


def mark(position: int, /, **fields: object) -> Doctor:
    def doctor(evidence: Evidence) -> None:
        place = at(evidence, position)
        evidence.ledger[place] = remarked(evidence.ledger[place], **fields)

    return doctor


def duplicate(evidence: Evidence) -> None:
    """At the end, as a producer that sends again after its broker has forgotten it."""
    again = evidence.ledger[at(evidence, 10)]
    evidence.ledger.append(moved(again, evidence.ledger[-1].offset + 1))


def swap(evidence: Evidence) -> None:
    one, other = at(evidence, 11), at(evidence, 12)
    records = evidence.ledger
    records[one], records[other] = (
        moved(records[other], records[one].offset),
        moved(records[one], records[other].offset),
    )


def let_a_zombie_write(evidence: Evidence) -> None:
    """The owner before the last was about to commit when another took over, and nobody fenced it."""
    last = evidence.ledger[at(evidence, 17)]
    evidence.ledger.append(moved(remarked(last, epoch=2), last.offset + 2))


def let_nobody_take_over(evidence: Evidence) -> None:
    """An owner that never said so."""
    takeovers = [place for place, record in enumerate(evidence.ledger) if record.key is None]
    evidence.ledger.pop(takeovers[1])


def take_over_unread(evidence: Evidence) -> None:
    """An owner that began before it had read everything."""
    ledger = Ledger(PARTITION, evidence.partitions, PLANET_EXPRESS)
    ledger.epoch, ledger.sequence = 3, 16
    ledger.take_over()
    evidence.ledger.append(moved(ledger.records[0], evidence.ledger[-1].offset + 2))


def write_something_else(evidence: Evidence) -> None:
    record = evidence.ledger[-1]
    evidence.ledger.append(Raw(record.partition, record.offset + 2, b"key", b"hello", []))


def write_without_a_mark(evidence: Evidence) -> None:
    evidence.ledger[-1] = msgspec.structs.replace(evidence.ledger[-1], headers=[])


def put_elsewhere(evidence: Evidence) -> None:
    other = 1 - PARTITION
    evidence.ledger[-1] = msgspec.structs.replace(evidence.ledger[-1], partition=other)
    evidence.ledger.sort(key=lambda each: (each.partition, each.offset))


def lose_keys(evidence: Evidence) -> None:
    evidence.keyring.pop()


def count_keys_twice(evidence: Evidence) -> None:
    evidence.keyring.append(moved(evidence.keyring[0], 1_000))


def answer(number: int, /, **fields: object) -> Doctor:
    """What a client noted of its so-manieth command."""

    def doctor(evidence: Evidence) -> None:
        evidence.notes.asked[number - 1] = msgspec.structs.replace(evidence.notes.asked[number - 1], **fields)

    return doctor


def read(number: int, /, **fields: object) -> Doctor:
    def doctor(evidence: Evidence) -> None:
        evidence.notes.reads[number - 1] = msgspec.structs.replace(evidence.notes.reads[number - 1], **fields)

    return doctor


def forget(evidence: Evidence) -> None:
    """That a client asked for it."""
    evidence.notes.asked.pop(3)


def be_surprised(evidence: Evidence) -> None:
    evidence.notes.surprises.append("500")


def never_go_on(evidence: Evidence) -> None:
    evidence.notes.faults.append(Fault("a node was killed", "node 0", 1.0, 2.0))


def say(**fields: object) -> Doctor:
    def doctor(evidence: Evidence) -> None:
        evidence.tenants[1] = msgspec.structs.replace(evidence.tenants[1], **fields)

    return doctor


def say_of_the_log(**fields: object) -> Doctor:
    def doctor(evidence: Evidence) -> None:
        evidence.logs[2] = msgspec.structs.replace(evidence.logs[2], **fields)

    return doctor


DOCTORS: dict[str, tuple[Doctor, set[str]]] = {
    "an acknowledged event is dropped": (drop(12), {answers.THERE, partitions.SEQUENCE, histories.DENSE}),
    "the last acknowledged event is dropped": (drop(17), {answers.THERE, nodes.LOGS, nodes.TREES}),
    "a refusal is dropped": (drop(15), {partitions.SEQUENCE, histories.DENSE}),
    "a refusal was acknowledged and is not there": (
        answer(5, attempts=[Attempt("load-0-unheard-1", 0, 1, 2, 409)]),
        {answers.THERE, answers.WANTED},
    ),
    "an event is there twice": (duplicate, {partitions.SEQUENCE, histories.ONCE, histories.IDS, histories.DENSE}),
    "the end of a commit is torn off": (mark(16, count=2), {partitions.WHOLE}),
    "the begin of a commit is torn off": (mark(16, place=1, count=2), {partitions.WHOLE}),
    "two events are swapped": (swap, {partitions.SEQUENCE, histories.DENSE, nodes.LOGS}),
    "a number is left out": (mark(17, sequence=18), {partitions.SEQUENCE}),
    "a zombie writes": (let_a_zombie_write, {partitions.FENCED, histories.DENSE}),
    "an owner never took over": (let_nobody_take_over, {partitions.EPOCHS}),
    "an owner had not read everything": (take_over_unread, {partitions.BARRIER}),
    "somebody else writes": (write_something_else, {partitions.WRITTEN}),
    "an event has no mark": (write_without_a_mark, {partitions.WRITTEN}),
    "an event is in another partition": (put_elsewhere, {histories.PLACED}),
    "a key is missing": (lose_keys, {partitions.KEYS}),
    "changes of the keyring are counted twice": (count_keys_twice, {partitions.KEYS}),
    "a position is left out": (change(17, position=18), {histories.DENSE, answers.WHERE}),
    "a tag is counted wrongly": (change(17, nth=[9, 9, 9, 9, 9, 9]), {histories.NTH}),
    "time goes back": (change(17, recorded_at=5), {histories.TIME}),
    "two events have one id": (lambda evidence: _same(evidence, "event_id"), {histories.IDS}),
    "a key acts twice": (lambda evidence: _same(evidence, "idempotency_key"), {histories.KEY_ONCE}),
    "a command is of two commits": (lambda evidence: _same(evidence, "command_id"), {histories.TOGETHER}),
    "an attempt is recorded and another, too": (
        lambda evidence: _same(evidence, "correlation_id"),
        {histories.ONCE, answers.THERE},
    ),
    "an answer names another position": (answer(1, position=3), {answers.WHERE}),
    "what was recorded was answered as refused": (answer(1, result="refused", status=404), {answers.ALIKE}),
    "what was refused was answered as done": (answer(5, result="done", status=200, position=6), {answers.ALIKE}),
    "what was done was answered as having no effect": (answer(4, result="nothing"), {answers.ALIKE}),
    "nobody asked for it": (forget, {answers.WANTED}),
    "what came later is earlier": (answer(1, call=109.0, end=110.0), {answers.LATER}),
    "an answer that no client may get": (be_surprised, {answers.EXPECTED}),
    "nothing goes on after a fault": (never_go_on, {answers.ALIVE}),
    "a refusal without a trace was never true": (answer(15, wish=Wish("switch_flag_off", FLAG)), {replayed.CLAIMS}),
    "a read is older than what was acknowledged": (read(2, position=7, found=[]), {replayed.FRESH}),
    "a read shows what was not so": (read(1, found=["eve", True, 2]), {replayed.READS}),
    "a read shows another version": (read(1, found=["ada", True, 3]), {replayed.READS}),
    "a read is of a position that is not there": (read(1, position=99), {replayed.BOUNDARY}),
    "what was there was answered as missing": (read(1, found=None, position=0), {replayed.CLAIMS}),
    "what is told from memory was never so": (read(4, found=["on", "DEFAULT"]), {replayed.CLAIMS}),
    "If-Match named an older version": (answer(7, if_match=2), {replayed.VERSIONS}),
    "a name gets another handle": (change(3, user_name_handle="hdl_name_ada"), {replayed.HANDLES}),
    "a node finds a difference": (say(holds=False, problem="users differ"), {nodes.HOLDS}),
    "a node has other views": (say(hashes={"stored": {"users": "00"}}), {nodes.VIEWS}),
    "a node has another tree": (say(root="00"), {nodes.TREES}),
    "a node has another log": (say_of_the_log(chain="00"), {nodes.LOGS}),
    "a node can't verify its log": (say_of_the_log(holds=False, chain=""), {nodes.HOLDS}),
}


def _same(evidence: Evidence, field: str) -> None:
    """The last event has in this field what the one before it has."""
    place, before = at(evidence, 17), at(evidence, 16)
    value = fields_of(evidence.ledger[before])[field]
    evidence.ledger[place] = rewritten(evidence.ledger[place], **{field: value})


@pytest.mark.parametrize("what", DOCTORS)
async def test_what_is_wrong_is_found_and_named(stage: Staged, what: str) -> None:
    doctor, expected = DOCTORS[what]
    evidence = stage.evidence()
    doctor(evidence)
    verdict = check(evidence)
    assert expected <= set(verdict.failed), verdict.text()


async def test_what_the_rules_refuse_is_found_though_a_node_recorded_it(stage: Staged) -> None:
    """Two users of one name: what another boundary than the command's would have let through."""
    fry = UserId("usr_fry")
    asked = await stage.ask(Wish("provision_user", text="eve"), ProvisionUser(fry, named(fry, "eve")))
    asked.wish, asked.made = Wish("provision_user", text="ada"), fry
    assert failed(stage.evidence()) == {replayed.RULES, replayed.HANDLES}


async def test_what_only_the_last_owner_was_refused_is_found(stage: Staged) -> None:
    asked = next(each for each in stage.notes.asked if each.wish.kind == "deactivate_user")
    asked.wish = Wish("deactivate_user", BOB)
    assert replayed.RULES in failed(stage.evidence())


async def test_a_command_without_an_answer_may_be_there_or_not(stage: Staged) -> None:
    asked = await stage.ask(Wish("rename_user", BOB, "hal"), ReviseUser(BOB, named(BOB, "hal")))
    asked.result, asked.position, asked.status = "ambiguous", 0, 0
    assert not failed(stage.evidence())
    unseen = msgspec.structs.replace(asked, attempts=[])
    stage.notes.take(unseen)
    assert not failed(stage.evidence())


async def test_a_command_without_an_answer_may_not_be_there_twice(stage: Staged) -> None:
    asked = await stage.ask(Wish("rename_user", BOB, "hal"), ReviseUser(BOB, named(BOB, "hal")))
    again = await stage.ask(Wish("rename_user", BOB, "gus"), ReviseUser(BOB, named(BOB, "gus")))
    stage.notes.asked.remove(again)
    asked.attempts += again.attempts
    asked.result = "ambiguous"
    assert answers.AMBIGUOUS in failed(stage.evidence())


async def test_a_read_after_a_read_is_not_older(stage: Staged) -> None:
    stage.read("owners", "", [ADA])
    stage.read("user", CYD, ["cyd", True, 4], position=5)
    assert failed(stage.evidence()) == {replayed.FRESH}
