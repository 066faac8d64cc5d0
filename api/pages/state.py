"""The state of a tenant at a moment: who and what there was, and a slider through its history."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, NamedTuple

from fastapi import Path, Query, Request, Response
from starlette.responses import RedirectResponse

from api import access, agents, directories, flags, groups, tenants, users, webhooks
from api.acting import Reading
from api.bodies import Cursor, time_text
from api.http import problems
from api.pages.asking import fields_of, moment_text
from api.pages.naming import names_of
from api.pages.rendering import around, may, show
from api.pages.route import pages
from api.pages.words import query
from api.permitted import TheNode, credential_of, may_read
from domain.ids import DEPLOYMENT

IN_PAGE: Final = 100
routes = pages()


class Section(NamedTuple):
    """A kind of thing that a tenant has, listed by the API's own handler."""

    key: str
    title: str
    permission: str
    list: Callable[..., Awaitable[Any]]
    in_deployment: bool = False


SECTIONS: Final = (
    Section("users", "Users", "users:read", users.list_users),
    Section("groups", "Groups", "groups:read", groups.list_groups),
    Section("roles", "Roles", "roles:read", access.list_roles),
    Section("keys", "Keys", "keys:read", agents.list_keys),
    Section("flags", "Flags", "flags:read", flags.list_flags, True),
    Section("settings", "Settings", "tenants:read", tenants.list_settings),
    Section("directories", "Directories", "directories:read", directories.list_directories),
    Section("webhooks", "Webhooks", "webhooks:read", webhooks.list_webhooks),
)
TenantInPath = Annotated[str, Path(pattern=r"^(ten_[0-9a-f]{32}|_deployment)$")]
Time = Annotated[str | None, Query(max_length=64)]


def sections_for(reading: Reading) -> list[Section]:
    """What the caller may see of it."""
    return [
        each
        for each in SECTIONS
        if (reading.tenant != DEPLOYMENT or each.in_deployment)
        and may(reading.node, reading.credential, each.permission)
    ]


@routes.get("/tenants/{tenant}/state")
async def choose_section(request: Request, tenant: TenantInPath, node: TheNode, time: Time = None) -> Response:
    """To the first section that the caller may see, at the moment that was asked for. Raises Problem 401 or 403."""
    credential = credential_of(node, request)
    for each in SECTIONS:
        if (tenant != DEPLOYMENT or each.in_deployment) and may(node, credential, each.permission):
            place = f"/console/tenants/{tenant}/state/{each.key}"
            return RedirectResponse(place + _moment_asked(fields_of(request)), 303)
    raise problems.forbidden("the key reads nothing of a tenant's state; use one with users:read, for example")


def _moment_asked(fields: dict[str, str]) -> str:
    """`time`, which the form has beside the slider, is a moment like any other."""
    if time := fields.pop("time", None):
        fields["as_of"] = moment_text(time)
    fields.pop("cursor", None)
    return query(fields) if fields else ""


class Slider(NamedTuple):
    """Where in the history the page stands."""

    position: int
    instant: str
    head: int
    as_of: bool


def slider_of(reading: Reading) -> Slider:
    head = max(reading.node.feed.head(reading.tenant), reading.at.position)
    return Slider(reading.at.position, time_text(reading.at.instant), head, reading.as_of)


def _add(section: Section) -> None:
    """The page of a section."""
    may_see = may_read(section.permission)

    async def show_section(
        request: Request,
        reading: Reading = may_see,
        time: Time = None,
        cursor: Cursor = None,
    ) -> Response:
        if time is not None:
            return RedirectResponse(request.url.path + _moment_asked(fields_of(request)), 303)
        page = await section.list(reading, limit=IN_PAGE, cursor=cursor)
        ids = [id for each in page.items for field in ("holder", "directory") if (id := getattr(each, field, None))]
        return show(
            request,
            "state.html",
            **context(request, reading, section),
            page=page,
            names=await names_of(reading, ids),
        )

    show_section.__name__ = f"show_{section.key}"
    routes.add_api_route(f"/tenants/{{tenant}}/state/{section.key}", show_section, methods=["GET"])


def context(request: Request, reading: Reading, section: Section) -> dict[str, Any]:
    """What pages of the state have in common."""
    return {
        "around": around(reading.node, reading.credential, reading.tenant),
        "section": section,
        "sections": sections_for(reading),
        "slider": slider_of(reading),
        "fields": fields_of(request),
        "moment": {"as_of": fields_of(request).get("as_of")},
    }


for _each in SECTIONS:
    _add(_each)
