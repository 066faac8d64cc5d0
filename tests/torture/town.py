"""A tenant as the clients know it together, and what they wish for there: little enough that they meet all the time."""

import random
from typing import Final

from tests.torture.noted import Wish
from tests.torture.wishes import KINDS, OWNERS

NAMES: Final = ("ada", "bob", "cyd", "dee", "eve", "fay", "gus", "hal")
WORDS: Final = ("north", "east", "south")
MOST_KNOWN: Final = 12
"""Of a kind; the oldest are forgotten, which are mostly gone."""
_WEIGHTS: Final[dict[str, int]] = {
    "provision_user": 10,
    "rename_user": 10,
    "pause_user": 4,
    "deactivate_user": 4,
    "reactivate_user": 6,
    "delete_user": 5,
    "create_group": 3,
    "rename_group": 4,
    "delete_group": 2,
    "add_member": 8,
    "remove_member": 4,
    "define_role": 3,
    "retire_role": 2,
    "assign_role": 8,
    "withdraw_role": 6,
    "define_flag": 3,
    "change_flag": 5,
    "switch_flag_off": 3,
    "switch_flag_on": 3,
    "target_flag": 4,
    "untarget_flag": 3,
    "archive_flag": 2,
}


class Town:
    """What is known of one tenant; ids of what is gone are remembered for a while, so that they are asked about too."""

    def __init__(self, tenant: str) -> None:
        self.tenant = tenant
        self.made: dict[str, list[str]] = {kind: [] for kind in ("user", "group", "role", "flag")}
        self.versions: dict[str, int] = {}
        """By id, the position in the last ETag that anybody got."""

    def learn(self, kind: str, made: str) -> None:
        if made not in self.made[kind]:
            self.made[kind] = [*self.made[kind][-MOST_KNOWN + 1 :], made]

    def wish(self, chance: random.Random) -> Wish:
        """Something that can be asked for now."""
        while True:
            (kind,) = chance.choices([*_WEIGHTS], [*_WEIGHTS.values()])
            if (wish := self._wish(kind, chance)) is not None:
                return wish

    def _wish(self, kind: str, chance: random.Random) -> Wish | None:
        user, group, role, flag = (self._one(each, chance) for each in ("user", "group", "role", "flag"))
        if kind in ("assign_role", "withdraw_role"):
            role = OWNERS if role is None or chance.random() < 0.6 else role
            other = user if group is None or role == OWNERS or chance.random() < 0.7 else group
            return other and Wish(kind, role, other=other)  # type: ignore[return-value]
        if kind in ("target_flag", "untarget_flag"):
            other = user if user and chance.random() < 0.5 else self.tenant
            return flag and Wish(kind, flag, chance.choice(("on", "off")), other)  # type: ignore[return-value]
        if kind in ("add_member", "remove_member"):
            return Wish(kind, group, other=user) if group and user else None
        text = _text(kind, chance)
        if KINDS[kind].makes:
            return Wish(kind, text=text)
        subject = {"user": user, "group": group, "role": role, "flag": flag}[_about(kind)]
        return Wish(kind, subject, text) if subject else None

    def question(self, wish: Wish, chance: random.Random) -> tuple[str, str]:
        """What to read after this wish: mostly what it was about."""
        about = _about(wish.kind)
        if chance.random() < 0.2:
            return chance.choice((("users", ""), ("owners", "")))
        if wish.kind in ("assign_role", "withdraw_role"):
            return "owners", ""
        if about == "role":
            return "users", ""
        if wish.other.startswith("usr") and chance.random() < 0.5:
            return "groups_of", wish.other
        if wish.other.startswith("usr") and about == "group":
            return "members", wish.subject
        if about == "user" and wish.text and chance.random() < 0.5:
            return "named", wish.text
        if about == "flag" and chance.random() < 0.5:
            return "evaluation", chance.choice(WORDS)
        return (about, wish.subject) if wish.subject else ("users", "")

    def _one(self, kind: str, chance: random.Random) -> str | None:
        return chance.choice(self.made[kind]) if self.made[kind] else None


def _about(kind: str) -> str:
    return kind.split("_")[1] if not kind.endswith("_member") else "group"


def _text(kind: str, chance: random.Random) -> str:
    match kind:
        case "provision_user" | "rename_user":
            return chance.choice(NAMES)
        case "create_group" | "rename_group" | "define_role" | "define_flag":
            return chance.choice(WORDS)
        case "change_flag":
            return chance.choice(("on", "off"))
        case _:
            return ""
