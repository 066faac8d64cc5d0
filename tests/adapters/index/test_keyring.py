"""The keyring: what opens a sealed value, what does not, and that what was destroyed is nowhere."""

import asyncio
import os
from pathlib import Path

import pytest

from adapters.keyring import Keyring, WrongRootKey
from domain.directory.life import SubjectErased, UserDeactivated
from domain.directory.users import UserProfileChanged
from domain.event import Event, Sealed
from domain.ids import DEPLOYMENT, Handle, UserId, id_from
from domain.ledger import NewKeys, NotReady, Outcome
from tests.adapters.index.logs import HERE, ROOT_KEY, SOMEBODY, THERE, Log, note, room, running, work

NAME = "Turanga Leela"


def user(number: int) -> UserId:
    return UserId(id_from("usr", 1_700_000_000_000_000 + number * 1000, number.to_bytes(10, "big")))


def changed(who: UserId, sealed: Sealed) -> UserProfileChanged:
    return UserProfileChanged(who, sealed, None, None, None, None)


async def sealed_and_recorded(log: Log, who: UserId = SOMEBODY, value: str = NAME) -> tuple[Sealed, Handle]:
    keys = NewKeys()
    sealed = log.keyring.seal(keys, HERE, who, "display_name", value)
    handle = log.keyring.handle(keys, HERE, "user_name", value)
    await log.sequencer.execute(work(changed(who, sealed), note(handle.encode()), keys=keys))
    return sealed, handle


async def test_a_value_is_opened_by_its_key_also_after_a_restart(tmp_path: Path) -> None:
    async with running(tmp_path) as log:
        sealed, handle = await sealed_and_recorded(log)
        assert log.keyring.unseal(HERE, "display_name", sealed) == NAME
        assert NAME.encode() not in sealed.ciphertext
    async with running(tmp_path) as log:
        assert log.keyring.unseal(HERE, "display_name", sealed) == NAME
        assert log.keyring.find_handle(HERE, "user_name", NAME) == handle


async def test_a_value_opens_in_no_other_tenant_and_no_other_field(tmp_path: Path) -> None:
    async with running(tmp_path) as log:
        sealed, _ = await sealed_and_recorded(log)
        with pytest.raises(ValueError, match="another tenant"):
            log.keyring.unseal(THERE, "display_name", sealed)
        with pytest.raises(ValueError, match="another field"):
            log.keyring.unseal(HERE, "given_name", sealed)
        changed_bytes = bytes((sealed.ciphertext[0] ^ 1,)) + sealed.ciphertext[1:]
        with pytest.raises(ValueError, match="changed"):
            log.keyring.unseal(HERE, "display_name", Sealed(sealed.key, sealed.nonce, changed_bytes, sealed.eq))


async def test_eq_tells_equal_values_of_one_subject_and_field_alone() -> None:
    async with running(None) as log:
        keys, seal = NewKeys(), log.keyring.seal
        value = seal(keys, HERE, SOMEBODY, "email", NAME)
        assert value.same_as(seal(keys, HERE, SOMEBODY, "email", NAME))
        assert value.nonce != seal(keys, HERE, SOMEBODY, "email", NAME).nonce
        others = [
            seal(keys, HERE, SOMEBODY, "email", NAME + "!"),
            seal(keys, HERE, SOMEBODY, "given_name", NAME),
            seal(keys, HERE, user(1), "email", NAME),
            seal(keys, THERE, SOMEBODY, "email", NAME),
        ]
        assert not any(value.same_as(other) for other in others)
        assert len({value.eq, *(other.eq for other in others)}) == 5


async def test_equal_values_have_one_handle_and_others_another() -> None:
    async with running(None) as log:
        ring, keys = log.keyring, NewKeys()
        handle = ring.handle(keys, HERE, "user_name", NAME)
        assert ring.handle(NewKeys(), HERE, "user_name", NAME) == handle
        others = {
            ring.handle(keys, HERE, "user_name", "other"),
            ring.handle(keys, HERE, "external_id", NAME),
            ring.handle(keys, THERE, "user_name", NAME),
        }
        assert handle not in others
        assert len(others) == 3


async def test_handles_of_values_asked_for_at_once_are_one_after_the_commit(tmp_path: Path) -> None:
    async with running(tmp_path) as log:
        found = await asyncio.gather(*(sealed_and_recorded(log, user(number)) for number in range(20)))
        assert len({handle for _, handle in found}) == 1
        assert log.count("handles") == 1


async def test_a_handle_of_nothing_recorded_comes_to_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as log:
        keys = NewKeys()
        log.keyring.handle(keys, HERE, "user_name", NAME)
        log.keyring.seal(keys, HERE, SOMEBODY, "display_name", NAME)
        await log.sequencer.execute(work(note(b"refused"), keys=keys))
        assert (log.count("handles"), log.count("data_keys")) == (0, 0)
    async with running(tmp_path) as log:
        assert log.keyring.find_handle(HERE, "user_name", NAME) is None


async def test_a_key_made_by_a_refused_command_comes_with_the_first_event_that_needs_it(tmp_path: Path) -> None:
    async with running(tmp_path) as log:
        refused = NewKeys()
        log.keyring.seal(refused, HERE, SOMEBODY, "display_name", "never recorded")
        await log.sequencer.execute(work(note(), keys=refused))
        sealed, _ = await sealed_and_recorded(log)
    async with running(tmp_path) as log:
        assert log.keyring.unseal(HERE, "display_name", sealed) == NAME


async def test_the_wrong_root_key_opens_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as log:
        keys = NewKeys()
        sealed = log.keyring.seal(keys, DEPLOYMENT, DEPLOYMENT, "name", NAME)
        event = changed(SOMEBODY, sealed)
        await log.sequencer.execute(work(event, tenant=DEPLOYMENT, keys=keys))
        with pytest.raises(WrongRootKey, match="MUNIMENT_ROOT_KEY"):
            Keyring(log.database, bytes(32))
        assert Keyring(log.database, ROOT_KEY).unseal(DEPLOYMENT, "name", sealed) == NAME


async def test_a_blind_is_the_same_for_the_same_value_and_purpose_alone() -> None:
    async with running(None) as log:
        blind = log.keyring.blind
        assert blind(NewKeys(), HERE, "addresses-2026-01", "10.0.0.1") == blind(
            NewKeys(), HERE, "addresses-2026-01", "10.0.0.1"
        )
        different = {
            blind(NewKeys(), tenant, purpose, address)
            for tenant in (HERE, THERE)
            for purpose in ("addresses-2026-01", "addresses-2026-02")
            for address in ("10.0.0.1", "10.0.0.2")
        }
        assert len(different) == 8


async def erase(log: Log, who: UserId, *handles: Handle) -> None:
    await log.sequencer.execute(work(SubjectErased(who, handles)))


async def test_an_erased_value_is_opened_by_nobody(tmp_path: Path) -> None:
    async with running(tmp_path) as log:
        sealed, handle = await sealed_and_recorded(log)
        other, _ = await sealed_and_recorded(log, user(1), "Hermes Conrad")
        epoch = log.keyring.epoch
        await erase(log, SOMEBODY, handle)
        assert log.keyring.epoch > epoch
        assert log.keyring.unseal(HERE, "display_name", sealed) is None
        assert log.keyring.find_handle(HERE, "user_name", NAME) is None
        assert log.keyring.unseal(HERE, "display_name", other) == "Hermes Conrad"
    async with running(tmp_path) as log:
        assert log.keyring.unseal(HERE, "display_name", sealed) is None
        assert log.keyring.find_handle(HERE, "user_name", NAME) is None


async def test_a_subject_whose_key_came_in_the_same_commit_as_its_end_has_none_left(tmp_path: Path) -> None:
    async with running(tmp_path) as log:
        keys = NewKeys()
        sealed = log.keyring.seal(keys, HERE, SOMEBODY, "display_name", NAME)
        await log.sequencer.execute(work(changed(SOMEBODY, sealed), SubjectErased(SOMEBODY, ()), keys=keys))
        assert log.keyring.unseal(HERE, "display_name", sealed) is None
        assert log.count("data_keys WHERE wrapped <> zeroblob(length(wrapped))") == 0


def keys_of(log: Log, who: UserId) -> list[bytes]:
    """Their wrapped keys."""
    with log.database.reading() as connection:
        keys = connection.execute("SELECT wrapped FROM data_keys WHERE subject = ?", (who,)).fetchall()
    return [row[0] for row in keys]


def lookups(log: Log) -> dict[Handle, bytes]:
    with log.database.reading() as connection:
        return dict(connection.execute("SELECT handle, lookup FROM handles").fetchall())


def bytes_below(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file())


async def test_what_was_destroyed_is_nowhere_in_the_files(tmp_path: Path) -> None:
    people = [user(number) for number in range(1500)]
    async with running(tmp_path) as log:
        found = await asyncio.gather(*(sealed_and_recorded(log, who, f"name of {who}") for who in people))
        handles = {who: handle for who, (_, handle) in zip(people, found, strict=True)}
        hashes = lookups(log)
        everything = {who: [*keys_of(log, who), hashes[handles[who]]] for who in people}
        indexed = {who: hashes[handles[who]][:8] for who in people}
        gone, kept = people[::10], [who for who in people if who not in people[::10]]
        await asyncio.gather(*(erase(log, who, handles[who]) for who in gone))
        await sealed_and_recorded(log, user(9999), "somebody new")
        assert await log.sequencer.exclusively(lambda _: log.database.truncate_wal())
        left = bytes_below(tmp_path)
        assert all(len(secrets) == 2 for secrets in everything.values())
        for who in gone:
            for secret in everything[who]:
                assert not any(part in left for part in parts(secret)), who
        assert all(secret in left for who in kept for secret in everything[who])
        assert not any(indexed[who] in left for who in gone)
    left = bytes_below(tmp_path)
    assert not any(part in left for who in gone for secret in everything[who] for part in parts(secret))


def parts(secret: bytes) -> list[bytes]:
    """Its beginning, middle and end: none may be left."""
    middle = len(secret) // 2
    return [secret[:12], secret[middle - 6 : middle + 6], secret[-12:]]


async def test_a_failed_commit_forgets_no_key_that_a_waiting_command_needs(tmp_path: Path) -> None:

    async with running(tmp_path) as log:
        await log.sequencer.execute(work(note()))
        keys = NewKeys()
        sealed = log.keyring.seal(keys, HERE, SOMEBODY, "display_name", NAME)
        handle = log.keyring.handle(keys, HERE, "user_name", NAME)
        await room(log, 2)
        failing = await asyncio.gather(log.sequencer.execute(work(note(os.urandom(60_000)))), return_exceptions=True)
        assert isinstance(failing[0], Exception)
        await room(log, None)
        assert log.keyring.handle(NewKeys(), HERE, "user_name", NAME) == handle
        events: list[Event] = [changed(SOMEBODY, sealed), note(handle.encode()), UserDeactivated(SOMEBODY)]
        await log.sequencer.execute(work(*events, keys=keys))
    async with running(tmp_path) as log:
        assert log.keyring.unseal(HERE, "display_name", sealed) == NAME
        assert log.keyring.find_handle(HERE, "user_name", NAME) == handle


async def test_what_was_destroyed_while_a_command_was_under_way_is_not_built_on(tmp_path: Path) -> None:
    async with running(tmp_path) as log:
        keys = NewKeys()
        handle = log.keyring.handle(keys, HERE, "name", NAME)
        await log.sequencer.execute(work(note(handle.encode()), keys=keys))
        late = NewKeys()
        assert log.keyring.handle(late, HERE, "name", NAME) == handle
        erase = log.sequencer.execute(work(SubjectErased(SOMEBODY, (handle,))))
        reuse = log.sequencer.execute(work(note(handle.encode()), keys=late))
        erased, reused = await asyncio.gather(erase, reuse, return_exceptions=True)
        assert isinstance(erased, Outcome)
        assert isinstance(reused, NotReady)
        with pytest.raises(NotReady, match="erased meanwhile"):
            await log.sequencer.execute(work(note(handle.encode()), keys=late))
        again = NewKeys()
        fresh = log.keyring.handle(again, HERE, "name", NAME)
        assert fresh != handle
        await log.sequencer.execute(work(note(fresh.encode()), keys=again))
        assert log.keyring.find_handle(HERE, "name", NAME) == fresh
