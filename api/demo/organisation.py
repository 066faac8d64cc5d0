"""An organisation as a provider would push it: Planet Express from its file, or a generated one of any size."""

import random
from importlib.resources import files
from typing import Any, Final

import msgspec

USER_SCHEMA: Final = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP_SCHEMA: Final = "urn:ietf:params:scim:schemas:core:2.0:Group"

_TITLES: Final = ("Engineer", "Designer", "Analyst", "Accountant", "Recruiter", "Support agent", "Manager", "Counsel")
_TEAMS: Final = ("Platform", "Billing", "Search", "Mobile", "Security", "Data", "Field", "Finance", "People", "Legal")


class Group(msgspec.Struct, frozen=True, rename="camel"):
    """`members` are user names."""

    display_name: str
    external_id: str
    members: tuple[str, ...]


class Organisation(msgspec.Struct, frozen=True):
    """`users` are SCIM resources without their schemas."""

    name: str
    users: tuple[dict[str, Any], ...]
    groups: tuple[Group, ...]


class Names(msgspec.Struct, frozen=True):
    """What people of a generated organisation are called."""

    given: tuple[str, ...]
    family: tuple[str, ...]


def planet_express() -> Organisation:
    """Seven people in two groups."""
    return msgspec.json.decode(_data("planet_express.json"), type=Organisation)


def _data(name: str) -> bytes:
    return files("api.demo").joinpath("data", name).read_bytes()


def generated(users: int, groups: int, seed: int = 3000) -> Organisation:
    """The same organisation for the same numbers; everybody is in one to three groups."""
    dice = random.Random(seed)  # noqa: S311
    names = msgspec.json.decode(_data("names.json"), type=Names)
    people = tuple(_person(number, names, dice) for number in range(users))
    members: list[list[str]] = [[] for _ in range(groups)]
    for person in people if groups else ():
        for each in sorted({dice.randrange(groups) for _ in range(dice.choice((1, 1, 2, 3)))}):
            members[each].append(person["userName"])
    teams = (_team(number, tuple(of)) for number, of in enumerate(members))
    return Organisation(f"Generated {users}", people, tuple(teams))


def _person(number: int, names: Names, dice: random.Random) -> dict[str, Any]:
    given, family = dice.choice(names.given), dice.choice(names.family)
    address = f"{given}.{family}.{number}@generated.example".lower()
    return {
        "userName": address,
        "externalId": f"gen-{number:07d}",
        "name": {"givenName": given, "familyName": family, "formatted": f"{given} {family}"},
        "displayName": f"{given} {family}",
        "title": dice.choice(_TITLES),
        "emails": [{"value": address, "type": "work", "primary": True}],
    }


def _team(number: int, members: tuple[str, ...]) -> Group:
    return Group(f"{_TEAMS[number % len(_TEAMS)]} {number // len(_TEAMS) + 1}", f"gen-team-{number:05d}", members)
