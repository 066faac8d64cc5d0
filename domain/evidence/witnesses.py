"""Witnesses: others who look at each checkpoint, see that the log only grew, and sign it too. C2SP tlog-witness."""

from typing import Final, assert_never

import msgspec

from domain.boundary import Boundary, Tally, about
from domain.command import Command, Decider, Known, Refused, Taken
from domain.event import Code, Event, Recorded
from domain.ids import DEPLOYMENT, TenantId, WitnessId

MOST: Final = 16
"""Witnesses of a deployment at a time."""


class WitnessAdded(Event):
    """From now on it is asked for a cosignature of each checkpoint.

    `url` is its submission prefix; `vkey` the key that it cosigns with.
    """

    tenant: TenantId
    witness: WitnessId
    url: Code
    vkey: Code


class WitnessRemoved(Event):
    """It is asked no more; what it has signed stays."""

    tenant: TenantId
    witness: WitnessId


class AddWitness(Command):
    permission = "node:manage"
    witness: WitnessId
    url: Code
    vkey: Code

    def boundary(self) -> Boundary:
        return about(self.witness, WitnessAdded, WitnessRemoved) | _EVERY


class RemoveWitness(Command):
    permission = "node:manage"
    witness: WitnessId

    def boundary(self) -> Boundary:
        return about(self.witness, WitnessAdded, WitnessRemoved) | _EVERY


WitnessesCommand = AddWitness | RemoveWitness


class Witness(msgspec.Struct, frozen=True):
    """A witness as the history says it is."""

    witness: WitnessId
    url: str
    vkey: str
    active: bool = True


def note_witness(witnesses: dict[str, Witness], recorded: Recorded) -> None:
    """One step of the fold to all witnesses by id, those that are asked no more included."""
    match recorded.event:
        case WitnessAdded(witness=witness, url=url, vkey=vkey):
            witnesses[witness] = Witness(witness, url, vkey)
        case WitnessRemoved(witness=witness) if witness in witnesses:
            witnesses[witness] = msgspec.structs.replace(witnesses[witness], active=False)


_TALLY: Final = Tally("witnesses", f"tenant:{DEPLOYMENT}", (WitnessAdded, WitnessRemoved), dict, note_witness)
_EVERY: Final = Boundary(tallies=(_TALLY,))


def decide(command: WitnessesCommand, known: Known) -> list[Event]:
    witnesses: dict[str, Witness] = known.tallies["witnesses"]
    active = [each for each in witnesses.values() if each.active]
    match command:
        case AddWitness(witness, url, vkey):
            if witness in witnesses or any(each.vkey == vkey for each in active):
                raise Taken("this witness is asked already; remove it first to change its address")
            if len(active) >= MOST:
                raise Refused(f"a deployment has at most {MOST} witnesses; remove one first")
            return [WitnessAdded(DEPLOYMENT, witness, url, vkey)]
        case RemoveWitness(witness):
            found = witnesses.get(witness)
            return [WitnessRemoved(DEPLOYMENT, witness)] if found is not None and found.active else []
        case _:
            assert_never(command)


decider = Decider(commands=(AddWitness, RemoveWitness), begin=Known, decide=decide)
