"""What clients read: how each question is asked over HTTP, and what the state of a tenant answers to it."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from domain.access.owners import OWNER
from domain.flags import told
from domain.view import Rows
from projections.access import ASSIGNMENTS
from projections.directory import GROUPS, MEMBERS, USERS
from projections.flags import FLAGS, TARGETS
from tests.domain.model import GONE, Model


class Known(NamedTuple):
    """A tenant at a position: in the open as the model has it, and as the product's folds have it."""

    tenant: str
    model: Model
    rows: Rows


class Question(NamedTuple):
    path: str
    found: Callable[[dict[str, Any]], Any]
    """What of an answer's body is compared."""
    expected: Callable[[Known, str], Any]
    """The same as the state has it; None for what does not exist."""


def _user(known: Known, user: str) -> Any:
    state = known.model.living().get(user)
    return state and [state["name"].handle, state["active"], known.rows.since[USERS.name].get(user)]


def _users(known: Known, _: str) -> Any:
    return {user: _user(known, user) for user in known.model.living()}


def _named(known: Known, name: str) -> Any:
    return sorted(user for user, state in known.model.living().items() if state["name"].handle == name)


def _group(known: Known, group: str) -> Any:
    state = known.model.groups.get(group, GONE)
    return None if state == GONE else [state["name"].eq.decode(), known.rows.since[GROUPS.name].get(group)]


def _members(known: Known, group: str) -> Any:
    if _group(known, group) is None:
        return None
    return sorted(member for of, member in known.model.members if of == group)


def _groups_of(known: Known, user: str) -> Any:
    return sorted(group for group, member in known.model.members if member == user)


def _owners(known: Known, _: str) -> Any:
    return sorted(subject for role, subject in known.model.held if role == OWNER)


def _flag(known: Known, flag: str) -> Any:
    state = known.model.flags.get(flag, GONE)
    return None if state == GONE else [state["key"], state["default"], state["on"], _since(known, FLAGS.name, flag)]


def _evaluation(known: Known, key: str) -> Any:
    model = known.model
    flag = next((flag for flag, state in model.flags.items() if state != GONE and state["key"] == key), None)
    if flag is None:
        return None
    targets = [model.targets[flag, known.tenant]] if (flag, known.tenant) in model.targets else []
    return list(told(model.flags[flag]["on"], "off", model.flags[flag]["default"], targets))


def _since(known: Known, view: str, key: str) -> int | None:
    return known.rows.since[view].get(key)


def _ids(name: str) -> Callable[[dict[str, Any]], Any]:
    return lambda body: sorted(each[name] for each in body["items"])


QUESTIONS: Final[dict[str, Question]] = {
    "user": Question("/users/{}", lambda body: [body["user_name"], body["active"], body["since"]], _user),
    "users": Question(
        "/users?limit=500",
        lambda body: {each["id"]: [each["user_name"], each["active"], each["since"]] for each in body["items"]},
        _users,
    ),
    "named": Question("/users?user_name={}", _ids("id"), _named),
    "group": Question("/groups/{}", lambda body: [body["display_name"], body["since"]], _group),
    "members": Question("/groups/{}/members?limit=500", _ids("user"), _members),
    "groups_of": Question("/users/{}/groups?limit=500", _ids("group"), _groups_of),
    "owners": Question(f"/roles/{OWNER}/assignments?limit=500", _ids("subject"), _owners),
    "flag": Question(
        "/flags/{}", lambda body: [body["key"], body["default_variant"], body["on"], body["since"]], _flag
    ),
    "evaluation": Question("/evaluations/{}", lambda body: [body["variant"], body["reason"]], _evaluation),
}

FROM_MEMORY: Final = frozenset({"evaluation"})
"""What is answered as it is when the answer is made, which may be later than the position that it says."""


def differs_from_fold(known: Known) -> str | None:
    """Where the product's folds and the model part; None if nowhere."""
    model, rows = known.model, known.rows.rows
    users = {key: row.active for key, row in rows[USERS.name].items()}
    if users != {user: state["active"] for user, state in model.living().items()}:
        return "users"
    handles = [row.user_name_handle for row in rows[USERS.name].values()]
    if len(handles) != len(set(handles)):
        return "user names: two have one"
    groups = {group for group, state in model.groups.items() if state != GONE}
    if set(rows[GROUPS.name]) != groups:
        return "groups"
    if {(row.group, row.member) for row in rows[MEMBERS.name].values()} != model.members:
        return "members"
    if {(row.role, row.subject) for row in rows[ASSIGNMENTS.name].values()} != set(model.held):
        return "assignments"
    flags = {
        flag: (state["key"], state["default"], state["on"]) for flag, state in model.flags.items() if state != GONE
    }
    if {key: (row.key, row.default_variant, row.on) for key, row in rows[FLAGS.name].items()} != flags:
        return "flags"
    if {(row.flag, row.subject): row.variant for row in rows[TARGETS.name].values()} != model.targets:
        return "targets"
    return None
