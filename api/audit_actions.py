"""Audit actions over REST: what a product may say of itself, with the schema of each version."""

from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import Path, Query
from pydantic import Field, StringConstraints

from api.acting import Acting, Reading
from api.bodies import Answer, Body, Changed, Cursor, Limit, LongText, changed, page_of, place_of, router, time_text
from api.http.paging import Page
from api.permitted import may, may_read
from domain.audit_actions import registering
from domain.audit_actions.registering import key_of
from domain.event import Code
from domain.ids import DEPLOYMENT
from domain.view import Versioned
from projections.product_events import AUDIT_ACTIONS, AuditActionRow

MayReadActions = Annotated[Reading, may_read("audit:read")]
MayManageActions = Annotated[Acting, may("actions:manage")]
ACTION: Final = r"^[a-z][a-z0-9_]{0,39}(\.[a-z][a-z0-9_]{0,39}){1,4}$"
ActionName = Annotated[str, StringConstraints(pattern=ACTION, max_length=100)]
ActionInPath = Annotated[str, Path(pattern=ACTION, max_length=100)]
Version = Annotated[int, Field(ge=1, le=registering.MOST_VERSIONS)]

routes = router("product events")


class NewAction(Body):
    """`schema` is JSON Schema of the metadata. A version that exists may grow; without `version` it is the first."""

    action: ActionName
    version: Version = 1
    metadata_schema: Annotated[dict[str, Any], Field(alias="schema")]
    description: LongText | None = None


class Action(Answer):
    """A version of an action. `origin` is tenant, or deployment for those that every tenant has."""

    action: str
    version: int
    metadata_schema: Annotated[dict[str, Any], Field(serialization_alias="schema")]
    description: str | None
    origin: Literal["tenant", "deployment"]
    registered_at: str
    changed_at: str
    since: int


@routes.post("/tenants/{tenant}/audit-actions", status_code=201)
async def register_audit_action(body: NewAction, caller: MayManageActions) -> Changed:
    """In the deployment (`_deployment`) an action is every tenant's; one that a tenant has of its own goes before."""
    description = caller.seal_if(caller.tenant, "description", body.description)
    schema = Code(msgspec.json.encode(body.metadata_schema).decode())
    command = registering.RegisterAuditAction(caller.tenant, Code(body.action), body.version, schema, description)
    return changed(await caller.execute(command))


@routes.get("/tenants/{tenant}/audit-actions")
async def list_audit_actions(reading: MayReadActions, limit: Limit = 100, cursor: Cursor = None) -> Page[Action]:
    """Those registered here, by name and version; the deployment's are listed under `_deployment`."""
    after = place_of(reading, cursor, "audit actions")
    found = await reading.node.views.page(AUDIT_ACTIONS, reading.tenant, reading.at, after=after, limit=limit + 1)
    return page_of(reading, found, limit, "audit actions", lambda each: _action_body(reading, each))


@routes.get("/tenants/{tenant}/audit-actions/{action}")
async def read_audit_action(
    action: ActionInPath,
    reading: MayReadActions,
    version: Annotated[int, Query(ge=1, le=registering.MOST_VERSIONS)] = 1,
) -> Action:
    found = await reading.must_get(AUDIT_ACTIONS, key_of(action, version), "action, or this version of it,")
    return _action_body(reading, found)


def _action_body(reading: Reading, found: Versioned[AuditActionRow]) -> Action:
    row = found.row
    return Action(
        action=row.action,
        version=row.version,
        metadata_schema=msgspec.json.decode(row.schema),
        description=reading.open("description", row.description),
        origin="deployment" if reading.tenant == DEPLOYMENT else "tenant",
        registered_at=time_text(row.registered_at),
        changed_at=time_text(row.changed_at),
        since=found.since,
    )


@routes.delete("/tenants/{tenant}/audit-actions/{action}")
async def retire_audit_action(action: ActionInPath, caller: MayManageActions) -> Changed:
    """Nothing more is recorded of it; what was stays, and stays readable."""
    return changed(await caller.execute(registering.RetireAuditAction(caller.tenant, Code(action))))
