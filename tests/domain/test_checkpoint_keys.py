"""Keys that sign checkpoints, and witnesses: a rotation overlaps, the last key stays, a witness is asked once."""

from domain.command import Missing, Refused, Taken
from domain.event import Code, Instant, Sealed
from domain.evidence.keys import (
    LONGEST_OVERLAP,
    CheckpointKeyAdded,
    CheckpointKeyRetired,
    RetireCheckpointKey,
    RotateCheckpointKey,
    kept,
    sealed_again,
)
from domain.evidence.witnesses import MOST, AddWitness, RemoveWitness, WitnessAdded, WitnessRemoved
from domain.ids import DEPLOYMENT, CheckpointKeyId, WitnessId
from tests.domain.given import BEFORE, LATER, NOW, given

OLD, OLDER, NEW = (CheckpointKeyId(f"cpk_{name}") for name in ("old", "older", "new"))
NAME = Code("muniment/0123")


def added(key: CheckpointKeyId) -> CheckpointKeyAdded:
    return CheckpointKeyAdded(DEPLOYMENT, key, NAME, Code(f"public of {key}"), b"sealed")


def retired(key: CheckpointKeyId, until: Instant) -> CheckpointKeyRetired:
    return CheckpointKeyRetired(DEPLOYMENT, key, until)


def rotate(until: Instant, public: str = f"public of {NEW}") -> RotateCheckpointKey:
    return RotateCheckpointKey(NEW, NAME, Code(public), b"sealed", until)


class TestKeys:
    def test_the_first_is_added(self) -> None:
        given().when(rotate(NOW)).then(added(NEW))

    def test_those_before_sign_for_a_while_too(self) -> None:
        given(added(OLD)).when(rotate(LATER)).then(added(NEW), retired(OLD, LATER))
        given(added(OLDER), retired(OLDER, LATER), added(OLD)).when(rotate(LATER)).then(added(NEW), retired(OLD, LATER))

    def test_an_overlap_is_never_made_longer_by_another_rotation(self) -> None:
        soon = Instant(NOW + 10)
        given(added(OLDER), retired(OLDER, LATER), added(OLD)).when(rotate(soon)).then(added(NEW), retired(OLD, soon))

    def test_an_overlap_that_is_over_begins_no_more(self) -> None:
        given(added(OLD)).when(rotate(BEFORE)).then(added(NEW), retired(OLD, NOW))
        given(added(OLD), retired(OLD, BEFORE)).when(rotate(LATER)).then(added(NEW))

    def test_an_overlap_has_an_end(self) -> None:
        given(added(OLD)).when(rotate(Instant(NOW + LONGEST_OVERLAP + 1))).then_refused("90 days", Refused)

    def test_a_key_is_added_once(self) -> None:
        given(added(NEW)).when(rotate(NOW)).then_refused("exists already", Taken)
        given(added(OLD)).when(rotate(NOW, f"public of {OLD}")).then_refused("exists already", Taken)

    def test_one_key_is_retired(self) -> None:
        history = (added(OLD), retired(OLD, Instant(NOW + 10)), added(NEW))
        given(*history).when(RetireCheckpointKey(OLD, LATER)).then(retired(OLD, LATER))
        given(*history).when(RetireCheckpointKey(OLD, BEFORE)).then(retired(OLD, NOW))
        given(*history).when(RetireCheckpointKey(OLD, Instant(NOW + 20))).then_nothing()
        given(added(OLD), retired(OLD, BEFORE), added(NEW)).when(RetireCheckpointKey(OLD, LATER)).then_nothing()

    def test_the_last_that_signs_stays(self) -> None:
        given(added(NEW)).when(RetireCheckpointKey(NEW, NOW)).then_refused("rotate first", Refused)
        history = (added(OLD), retired(OLD, LATER), added(NEW))
        given(*history).when(RetireCheckpointKey(NEW, NOW)).then_refused("rotate first", Refused)

    def test_a_key_that_is_not_there_is_not_retired(self) -> None:
        given(added(OLD)).when(RetireCheckpointKey(NEW, NOW)).then_refused("does not exist", Missing)

    def test_a_private_key_is_kept_as_bytes(self) -> None:
        sealed = Sealed("dek_1", bytes(12), b"closed", bytes(16))
        assert sealed_again(kept(sealed)) == sealed


class TestWitnesses:
    ONE, OTHER = WitnessId("wit_one"), WitnessId("wit_other")

    def add(self, witness: WitnessId, vkey: str = "w+1+x") -> AddWitness:
        return AddWitness(witness, Code("https://w.example"), Code(vkey))

    def added(self, witness: WitnessId, vkey: str = "w+1+x") -> WitnessAdded:
        return WitnessAdded(DEPLOYMENT, witness, Code("https://w.example"), Code(vkey))

    def test_one_is_added_and_removed(self) -> None:
        gone = WitnessRemoved(DEPLOYMENT, self.ONE)
        given().when(self.add(self.ONE)).then(self.added(self.ONE))
        given(self.added(self.ONE)).when(RemoveWitness(self.ONE)).then(gone)
        given(self.added(self.ONE), gone).when(RemoveWitness(self.ONE)).then_nothing()
        given().when(RemoveWitness(self.ONE)).then_nothing()

    def test_one_is_asked_once(self) -> None:
        given(self.added(self.ONE)).when(self.add(self.OTHER)).then_refused("asked already", Taken)
        gone = WitnessRemoved(DEPLOYMENT, self.ONE)
        given(self.added(self.ONE), gone).when(self.add(self.OTHER)).then(self.added(self.OTHER))

    def test_there_are_not_too_many(self) -> None:
        many = [self.added(WitnessId(f"wit_{number}"), f"w{number}+1+x") for number in range(MOST)]
        given(*many).when(self.add(self.ONE)).then_refused("at most 16", Refused)
