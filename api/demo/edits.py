"""Ten minutes of edits: two hundred, by three actors, over SCIM and `/v1`, always the same."""

from collections.abc import Iterator
from typing import Any, Final, Literal, NamedTuple

from api.cli.door import Door
from api.cli.printing import Advance
from api.demo.loading import Loaded, ScimDoor

ROUNDS: Final = 10
_PATCH: Final = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
Who = Literal["directory", "hermes", "operator"]


class Edit(NamedTuple):
    """One request; `{names}` in it stand for ids, and `keep` names the id that the answer brings."""

    who: Who
    method: str
    path: str
    body: dict[str, Any] | None = None
    keep: str | None = None


class Actors(NamedTuple):
    """The three: a directory with its token, a person with an API key, and the operator."""

    directory: ScimDoor
    hermes: Door
    operator: Door


async def edit(actors: Actors, tenant: str, loaded: Loaded, advance: Advance) -> int:
    """Make all the edits, one after another; returns how many that were."""
    names = {name.partition("@")[0]: id for name, id in loaded.users.items()}
    ids = {**names, "crew": loaded.groups["Ship Crew"], "staff": loaded.groups["Admin Staff"], "tenant": tenant}
    edits = list(script())
    for done, each in enumerate(edits, 1):
        path, body = _filled(each.path, ids), _filled(each.body, ids)
        if each.who == "directory":
            answer = await actors.directory.send(each.method, path, body)
        else:
            door = actors.hermes if each.who == "hermes" else actors.operator
            answer = await door.ask(each.method, f"/v1/tenants/{tenant}{path}", body)
        if each.keep:
            ids[each.keep] = answer["id"]
        advance(done, len(edits))
    return len(edits)


def _filled(part: Any, ids: dict[str, str]) -> Any:
    """With ids in the place of names."""
    match part:
        case str():
            return part.format(**ids)
        case list():
            return [_filled(each, ids) for each in part]
        case dict():
            return {name: _filled(each, ids) for name, each in part.items()}
    return part


def script() -> Iterator[Edit]:
    """Ten rounds of twenty."""
    for week in range(1, ROUNDS + 1):
        yield from _by_the_directory(week)
        yield from _by_hermes(week)
        yield from _by_the_operator(week)


def _by_the_directory(week: int) -> Iterator[Edit]:
    yield Edit("directory", "PATCH", "/Users/{fry}", _replace(title=f"Delivery boy, week {week}"))
    yield Edit("directory", "PATCH", "/Users/{leela}", _replace(displayName=f"Captain Leela, flight {week}"))
    yield Edit("directory", "PATCH", "/Users/{zoidberg}", _replace(active=False))
    yield Edit("directory", "PATCH", "/Users/{zoidberg}", _replace(active=True))
    yield Edit("directory", "PATCH", "/Groups/{crew}", _members("add", "{amy}"))
    yield Edit("directory", "PATCH", "/Groups/{crew}", _members("remove", "{amy}"))
    yield Edit("directory", "PATCH", "/Groups/{crew}", _replace(displayName=f"Ship Crew, delivery {week}"))


def _by_hermes(week: int) -> Iterator[Edit]:
    role = f"grade_{week}"
    permissions = {"permissions": ["forms:stamp", f"deliveries:week{week}"]}
    yield Edit("hermes", "POST", "/roles", {"name": role, **permissions}, keep=role)
    yield Edit("hermes", "PUT", f"/roles/{{{role}}}/assignments/{{leela}}", {})
    yield Edit("hermes", "PUT", f"/roles/{{{role}}}/assignments/{{staff}}", {})
    yield Edit("hermes", "PUT", f"/roles/{{{role}}}", {"permissions": ["forms:stamp"], "description": f"Week {week}"})
    yield Edit("hermes", "DELETE", f"/roles/{{{role}}}/assignments/{{leela}}")
    yield Edit("hermes", "PUT", "/settings/delivery.week", {"value": str(week)})
    yield Edit("hermes", "PATCH", "/users/{amy}", {"display_name": f"Amy Wong, form 27b/{week}"})


def _by_the_operator(week: int) -> Iterator[Edit]:
    flag = f"autopilot_{week}"
    yield Edit("operator", "POST", "/flags", {"key": flag, "description": f"Flight {week}"}, keep=flag)
    yield Edit("operator", "PUT", f"/flags/{{{flag}}}/targets/{{leela}}", {"variant": "on"})
    yield Edit("operator", "PATCH", f"/flags/{{{flag}}}", {"default_variant": "on"})
    yield Edit("operator", "POST", f"/flags/{{{flag}}}/switch_off")
    yield Edit("operator", "POST", f"/users/{{bender}}/{'deactivate' if week % 2 else 'reactivate'}")
    yield Edit("operator", "PATCH", "/users/{professor}", {"display_name": f"Professor Farnsworth, good news {week}"})


def _replace(**values: Any) -> dict[str, Any]:
    return {"schemas": [_PATCH], "Operations": [{"op": "replace", "value": values}]}


def _members(op: str, user: str) -> dict[str, Any]:
    if op == "remove":
        return {"schemas": [_PATCH], "Operations": [{"op": op, "path": f'members[value eq "{user}"]'}]}
    return {"schemas": [_PATCH], "Operations": [{"op": op, "path": "members", "value": [{"value": user}]}]}
