"""What clients note while it happens: what they asked, when, of which node, and what they were told."""

from typing import Any, Literal

import msgspec

Result = Literal["done", "nothing", "refused", "ambiguous"]


class Wish(msgspec.Struct, frozen=True):
    """What a client wants changed; which fields say something depends on the kind (`wishes.KINDS`)."""

    kind: str
    subject: str = ""
    """The id of what it is about; empty for what is yet to be made."""
    text: str = ""
    """A name, a key or a variant."""
    other: str = ""
    """The id of a member, or of whom a role or a variant is for."""


class Attempt(msgspec.Struct):
    """One request. `correlation` is the X-Request-ID that it carried, which its events have in them."""

    correlation: str
    node: int
    call: float
    end: float
    status: int
    """0: no answer."""


class Asked(msgspec.Struct):
    """A command and what became of it, by everything that the client was told. Times are of one monotonic clock."""

    client: int
    tenant: str
    wish: Wish
    call: float
    keyed: bool
    """Whether it carried an Idempotency-Key, the same in each attempt."""
    if_match: int | None = None
    """The position in the ETag that it carried."""
    attempts: list[Attempt] = []
    end: float = 0.0
    result: Result = "ambiguous"
    status: int = 0
    position: int = 0
    """Of the last event, or the tenant's head if nothing changed."""
    made: str = ""
    """The id of what came into being."""


class Read(msgspec.Struct):
    """A question and its answer. `found` is None for what does not exist."""

    client: int
    tenant: str
    kind: str
    subject: str
    node: int
    call: float
    end: float
    position: int
    """That the answer says it is of; 0 where it says none."""
    found: Any = None


class Fault(msgspec.Struct):
    """Something that was done to the deployment, on the clients' clock."""

    kind: str
    target: str
    begun: float
    healed: float = 0.0
    quiet: float = 0.0
    """When enough commands had been answered again; 0 if never."""
    taken_over: float | None = None
    """Seconds until others owned what the target had; None if that was not waited for, or did not come."""
    problem: str = ""
    """What did not come, if anything."""


class Notes(msgspec.Struct):
    """All that clients noted in a run."""

    asked: list[Asked] = []
    reads: list[Read] = []
    founded: list[Asked] = []
    """What was asked about tenants as a whole: their names are unique in the deployment."""
    faults: list[Fault] = []
    tenants: list[str] = []
    """Those that the load is about; in others only what holds for every tenant is checked."""
    surprises: list[str] = []
    """Answers that no client may get, whatever happens around it."""
    unread: int = 0
    """Questions that were not answered."""
    answered: int = 0
    """Commands that had a definite answer."""

    def take(self, asked: Asked) -> None:
        """A command is over for its client."""
        self.asked.append(asked)
        self.answered += asked.result != "ambiguous"
