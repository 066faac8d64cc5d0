"""Naming: what ids are called, as far as whoever looks may read it; without names, a page shows ids."""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from api.acting import Reading
from api.pages.rendering import may
from domain.ids import DEPLOYMENT
from domain.view import View, ViewBehind, ViewUnavailable
from projections.access import ROLES
from projections.agents import API_KEYS
from projections.directory import DIRECTORIES, GROUPS, USERS
from projections.flags import FLAGS
from projections.tenants import TENANTS

MOST: Final = 2000
PATIENCE: Final = 1.0
"""Seconds that a page waits for views before it does without names."""


class _Named(NamedTuple):
    permission: str
    view: View[Any]
    fields: tuple[str, ...]
    """The first that there is; sealed or not."""


_KINDS: Final = {
    "usr": _Named("users:read", USERS, ("display_name", "user_name")),
    "grp": _Named("groups:read", GROUPS, ("display_name",)),
    "rol": _Named("roles:read", ROLES, ("name",)),
    "key": _Named("keys:read", API_KEYS, ("name",)),
    "dir": _Named("directories:read", DIRECTORIES, ("name",)),
    "flg": _Named("flags:read", FLAGS, ("key",)),
    "ten": _Named("tenants:read", TENANTS, ("name",)),
}


async def names_of(reading: Reading, ids: Iterable[str]) -> dict[str, str]:
    """What each is called at the reading's moment; ids without a name, or which may not be read, are left out."""
    if reading.tenant == DEPLOYMENT:
        return {}
    wanted: dict[str, list[str]] = {}
    for each in sorted(set(ids))[:MOST]:
        wanted.setdefault(each[:3], []).append(each)
    named = {"rol_owner": "owner"} if "rol_owner" in wanted.get("rol", ()) else {}
    known = {kind: _KINDS[kind] for kind in wanted if kind in _KINDS}
    known = {kind: how for kind, how in known.items() if may(reading.node, reading.credential, how.permission)}
    if not known:
        return named
    views = reading.node.views
    try:
        await views.reach(reading.tenant, reading.at.position, PATIENCE)
        for kind, how in known.items():
            for id, found in (await views.get_many(how.view, reading.tenant, wanted[kind], reading.at)).items():
                if name := _name(reading, found.row, how.fields):
                    named[id] = name
    except (ViewBehind, ViewUnavailable):
        return named
    return named


def _name(reading: Reading, row: Any, fields: tuple[str, ...]) -> str | None:
    for field in fields:
        value = getattr(row, field)
        text: str | None = value if isinstance(value, str) else reading.open(field, value)
        if text:
            return text
    return None
