"""Witnesses over real HTTP: what they sign is verified, and what goes wrong with them says why."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.evidence.log import Kept
from adapters.evidence.proving import Proving
from adapters.evidence.signing import new_private, public_of, verifies
from adapters.evidence.trees import Trees
from adapters.evidence.witnesses import LogForked, WitnessClient, WitnessFailed, http_client, objection
from domain.evidence.notes import COSIGNATURE, PublicKey, Signature, open_note, parse_note
from tests.adapters.evidence.logs import ORIGIN, Office
from tests.adapters.evidence.witness import Witness, witnessing


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path)
    yield made
    made.close()


@pytest.fixture
def witness(office: Office) -> Witness:
    """It knows the office's log."""
    made = Witness("witness.example/w1")
    made.logs[ORIGIN] = [office.key]
    return made


def grown(office: Office, times: int = 1) -> Kept:
    kept = None
    for _ in range(times):
        kept = office.grow(one=3, two=1).checkpoint
    assert kept is not None
    return kept


class Asking:
    """Clients of a witness, which may forget what it has signed."""

    def __init__(self, office: Office, url: str, key: PublicKey) -> None:
        self._office, self._url, self._key = office, url, key

    def ask(self, *checkpoints: Kept) -> list[Signature]:
        """Its signature of each, in turn, by one client."""

        async def all_of_them() -> list[Signature]:
            async with http_client() as http:
                client = WitnessClient(self._url, self._key.text, http)
                return [(await client.cosign(each, self._consistency))[0] for each in checkpoints]

        return asyncio.run(all_of_them())

    def _consistency(self, old: int, new: int) -> list[bytes]:
        book = self._office.log.book
        proving = Proving(None, None, book, Trees(book.leaves, 1 << 26), None)  # type: ignore[arg-type]
        return list(proving.log_consistency(old, new))


def test_it_signs_what_only_grew(office: Office, witness: Witness) -> None:
    with witnessing(witness) as url:
        asking = Asking(office, url, witness.key)
        made = [grown(office), grown(office), grown(office, 30)]
        for kept, signature in zip(made, asking.ask(*made), strict=True):
            office.log.cosign(kept.number, [signature])
        late = grown(office)
        (signature,) = asking.ask(late)  # who does not know how much it has signed is told
        office.log.cosign(late.number, [signature])
    assert witness.statuses == [200, 200, 200, 409, 200]
    for kept in (*made, late):
        note = office.log.book.checkpoint(kept.number)
        assert note is not None
        opened = open_note(note.note.encode(), [office.key, witness.key], verifies)
        assert [each.key for each in opened.by] == [office.key, witness.key]
        assert opened.by[1].time is not None


def test_the_same_checkpoint_may_be_cosigned_again(office: Office, witness: Witness) -> None:
    kept = grown(office)
    with witnessing(witness) as url:
        asking = Asking(office, url, witness.key)
        asking.ask(kept)
        asking.ask(kept)
    assert witness.statuses == [200, 409, 200]


def test_two_witnesses_sign_one_note(office: Office, witness: Witness) -> None:
    other, kept = Witness("witness.example/w2"), grown(office)
    other.logs[ORIGIN] = [office.key]
    for each in (witness, other):
        with witnessing(each) as url:
            office.log.cosign(kept.number, Asking(office, url, each.key).ask(kept))
    found = office.log.book.checkpoint(kept.number)
    assert found is not None
    trusted = [office.key, witness.key, other.key]
    assert len(open_note(found.note.encode(), trusted, verifies).by) == 3
    assert len(parse_note(found.note.encode()).signatures) == 3


class TestTrouble:
    def refused(self, office: Office, witness: Witness, key: PublicKey | None = None) -> str:
        with witnessing(witness) as url, pytest.raises(WitnessFailed) as caught:
            Asking(office, url, key or witness.key).ask(grown(office))
        return str(caught.value)

    def test_a_witness_that_is_down(self, office: Office, witness: Witness) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = listening.getsockname()[1]
        with pytest.raises(WitnessFailed, match="can't be reached"):
            Asking(office, f"http://127.0.0.1:{port}/witness", witness.key).ask(grown(office))

    def test_a_witness_that_does_not_know_the_log(self, office: Office, witness: Witness) -> None:
        witness.logs.clear()
        assert "does not know the log" in self.refused(office, witness)

    def test_a_witness_that_knows_another_key(self, office: Office, witness: Witness) -> None:
        witness.logs[ORIGIN] = [PublicKey(ORIGIN, 1, public_of(new_private()))]
        assert "trusts none of the keys" in self.refused(office, witness)

    def test_a_signature_that_does_not_hold(self, office: Office, witness: Witness) -> None:
        other = PublicKey(witness.key.name, COSIGNATURE, public_of(new_private()))
        witness.signs_with = other
        assert "does not hold" in self.refused(office, witness, other)
        witness.seen.clear()
        assert "another key" in self.refused(office, witness)

    def test_a_log_that_went_back_is_called_forked(self, office: Office, witness: Witness) -> None:
        kept = grown(office)
        witness.seen[ORIGIN] = (kept.size + 5, bytes(32))
        with witnessing(witness) as url, pytest.raises(LogForked, match=f"cosigned {kept.size + 5} leaves"):
            Asking(office, url, witness.key).ask(kept)

    def test_another_log_of_one_size_is_called_forked(self, office: Office, witness: Witness) -> None:
        kept = grown(office)
        witness.seen[ORIGIN] = (kept.size, bytes(32))
        with witnessing(witness) as url, pytest.raises(LogForked, match="another log"):
            Asking(office, url, witness.key).ask(kept)

    def test_a_history_that_differs_is_not_cosigned(self, office: Office, witness: Witness) -> None:
        grown(office)
        witness.seen[ORIGIN] = (1, bytes(32))
        assert "not consistent" in self.refused(office, witness)

    @pytest.mark.parametrize(
        "url",
        [
            "ftp://a.b/",
            "https://",
            "https://u:p@a.b/",
            "https://a.b/?q",
            "https://a.b/#f",
            "x",
            "https://a.b:x/",
            "https://a b/",
        ],
    )
    def test_an_address_that_can_be_none(self, url: str) -> None:
        assert objection(url)
        assert objection("https://witness.example/w1") is None
