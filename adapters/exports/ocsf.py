"""An event as the Open Cybersecurity Schema Framework says it (OCSF 1.5.0, https://schema.ocsf.io/1.5.0).

What has a class of its own there is said in it; everything else is API Activity (6003). Sealed values stay out. What
OCSF has no place for is in `unmapped`: authority, on whose behalf, tags, the event's own fields.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from adapters.exports.lines import data_of, time_text
from domain.event import Entry
from domain.ledger import CommandRefused, RefusalsSummarised

VERSION: Final = "1.5.0"
_IAM: Final = (3, "Identity & Access Management")
_APPLICATION: Final = (6, "Application Activity")
_CLASSES: Final = {
    3001: "Account Change",
    3002: "Authentication",
    3003: "Authorize Session",
    3004: "Entity Management",
    3005: "User Access Management",
    3006: "Group Management",
    6003: "API Activity",
}
_ACTIVITIES: Final = {
    3001: {1: "Create", 2: "Enable", 5: "Disable", 6: "Delete"},
    3002: {3: "Authentication Ticket"},
    3003: {1: "Assign Privileges"},
    3004: {1: "Create", 3: "Update", 4: "Delete", 8: "Enable", 9: "Disable", 12: "Suspend", 13: "Resume"},
    3005: {1: "Assign Privileges", 2: "Revoke Privileges"},
    3006: {1: "Assign Privileges", 2: "Revoke Privileges", 3: "Add User", 4: "Remove User", 5: "Delete", 6: "Create"},
    6003: {1: "Create", 2: "Read", 3: "Update", 4: "Delete"},
}
_OTHER: Final = 99


class _Said(NamedTuple):
    """How one type of event is said: its class, its activity, and the parts that the class asks for."""

    kind: int
    activity: int
    parts: Callable[[dict[str, Any]], dict[str, Any]] = lambda data: {}
    name: str | None = None
    """The activity's, where OCSF has none."""


def _user(field: str = "user") -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda data: {"user": {"uid": data[field]}}


def _group(data: dict[str, Any]) -> dict[str, Any]:
    return {"group": {"uid": data["group"]}}


def _member(data: dict[str, Any]) -> dict[str, Any]:
    return {"group": {"uid": data["group"]}, "user": {"uid": data["member"]}}


def _held(data: dict[str, Any]) -> dict[str, Any]:
    return {"user": {"uid": data["subject"]}, "privileges": [data["role"]]}


def _held_by_group(data: dict[str, Any]) -> dict[str, Any]:
    return {"group": {"uid": data["subject"]}, "privileges": [data["role"]]}


def _key(data: dict[str, Any]) -> dict[str, Any]:
    user = {"uid": data["holder"], "credential_uid": data["credential"]}
    return {"user": user, "privileges": data["permissions"]}


def _ticket(holder: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda data: {
        "user": {"uid": data[holder], "credential_uid": data["credential"]},
        "service": {"name": "muniment"},
    }


def _entity(kind: str, field: str, name: str | None = None) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def parts(data: dict[str, Any]) -> dict[str, Any]:
        entity = {"uid": data[field], "type": kind}
        if name is not None and data.get(name):
            entity["name"] = data[name]
        return {"entity": entity}

    return parts


_role, _flag = _entity("Role", "role", "name"), _entity("Feature flag", "flag", "key")
_tenant, _setting = _entity("Tenant", "tenant"), _entity("Setting", "setting")
_directory, _webhook = _entity("Directory", "directory"), _entity("Webhook", "webhook")
_export, _api_key = _entity("Trail export", "export"), _entity("API key", "credential")
_token, _operator = _entity("Directory token", "credential"), _entity("Operator key", "credential")

SAID: Final[dict[str, _Said]] = {
    "UserProvisioned": _Said(3001, 1, _user()),
    "UserProfileChanged": _Said(3001, _OTHER, _user(), "Update"),
    "UserRenamed": _Said(3001, _OTHER, _user(), "Update"),
    "UserExternalIdChanged": _Said(3001, _OTHER, _user(), "Update"),
    "UserDeactivated": _Said(3001, 5, _user()),
    "UserReactivated": _Said(3001, 2, _user()),
    "UserDeleted": _Said(3001, 6, _user()),
    "SubjectErased": _Said(3001, _OTHER, _user(), "Erase"),
    "ApiKeyRotated": _Said(3004, 3, _api_key),
    "ApiKeyRevoked": _Said(3004, 4, _api_key),
    "ApiKeyIssued": _Said(3003, 1, _key),
    "OperatorKeyIssued": _Said(3002, 3, _ticket("operator")),
    "OperatorKeyRevoked": _Said(3004, 4, _operator),
    "DirectoryTokenIssued": _Said(3002, 3, _ticket("directory")),
    "DirectoryTokenRevoked": _Said(3004, 4, _token),
    "GroupCreated": _Said(3006, 6, _group),
    "GroupRenamed": _Said(3006, _OTHER, _group, "Update"),
    "GroupExternalIdChanged": _Said(3006, _OTHER, _group, "Update"),
    "GroupDeleted": _Said(3006, 5, _group),
    "MemberAdded": _Said(3006, 3, _member),
    "MemberRemoved": _Said(3006, 4, _member),
    "RoleAssigned": _Said(3005, 1, _held),
    "RoleWithdrawn": _Said(3005, 2, _held),
    "AssignmentExpired": _Said(3005, 2, _held),
    "RoleDefined": _Said(3004, 1, _role),
    "RoleChanged": _Said(3004, 3, _role),
    "RoleRetired": _Said(3004, 4, _role),
    "FlagDefined": _Said(3004, 1, _flag),
    "FlagDefaultChanged": _Said(3004, 3, _flag),
    "FlagTargeted": _Said(3004, 3, _flag),
    "FlagSwitchedOn": _Said(3004, 8, _flag),
    "FlagSwitchedOff": _Said(3004, 9, _flag),
    "FlagArchived": _Said(3004, 4, _flag),
    "TenantCreated": _Said(3004, 1, _tenant),
    "TenantRenamed": _Said(3004, 3, _tenant),
    "TenantSettingChanged": _Said(3004, 3, _setting),
    "TenantSuspended": _Said(3004, 12, _tenant),
    "TenantResumed": _Said(3004, 13, _tenant),
    "TenantDeleted": _Said(3004, 4, _tenant),
    "DirectoryCreated": _Said(3004, 1, _directory),
    "DirectoryRenamed": _Said(3004, 3, _directory),
    "DirectoryRemoved": _Said(3004, 4, _directory),
    "WebhookCreated": _Said(3004, 1, _webhook),
    "WebhookChanged": _Said(3004, 3, _webhook),
    "WebhookSecretRotated": _Said(3004, 3, _webhook),
    "WebhookPaused": _Said(3004, 9, _webhook),
    "WebhookResumed": _Said(3004, 8, _webhook),
    "WebhookDisabled": _Said(3004, 9, _webhook),
    "WebhookRemoved": _Said(3004, 4, _webhook),
    "ExportRequested": _Said(3004, 1, _export),
    "ExportExpired": _Said(3004, 4, _export),
    "TrailAccessed": _Said(6003, 2),
    "TrailAccessesSummarised": _Said(6003, 2),
}
"""By event type; what is missing is API Activity, Other."""
_BY_GROUP: Final = {1: _Said(3006, 1, _held_by_group), 2: _Said(3006, 2, _held_by_group)}
_ANY: Final = _Said(6003, _OTHER)


def ocsf(entry: Entry) -> dict[str, Any]:
    """One OCSF event, as an object for JSON."""
    data, sealed = data_of(entry)
    type, meta = entry.event.type_name, entry.meta
    said = SAID.get(type, _ANY)
    if said.kind == 3005 and str(data.get("subject", "")).startswith("grp_"):
        said = _BY_GROUP[said.activity]
    category, category_name = _APPLICATION if said.kind == 6003 else _IAM
    refused = isinstance(entry.event, CommandRefused | RefusalsSummarised)
    activity = said.name or _ACTIVITIES[said.kind].get(said.activity) or type
    event: dict[str, Any] = {
        "class_uid": said.kind,
        "class_name": _CLASSES[said.kind],
        "category_uid": category,
        "category_name": category_name,
        "activity_id": said.activity,
        "activity_name": activity,
        "type_uid": said.kind * 100 + said.activity,
        "type_name": f"{_CLASSES[said.kind]}: {activity}",
        "severity_id": 2 if refused else 1,
        "severity": "Low" if refused else "Informational",
        "status_id": 2 if refused else 1,
        "status": "Failure" if refused else "Success",
        "time": entry.instant // 1000,
        "message": type,
        "metadata": _metadata(entry, type),
        "actor": _actor(entry),
        "unmapped": {
            "data": data,
            "sealed": sealed,
            "on_behalf_of": list(meta.on_behalf_of),
            "authority": {
                "permission": meta.authority_permission,
                "decision": meta.authority_decision,
                "policies": list(meta.authority_policies),
                "position": meta.authority_position,
            },
            "command": meta.command_id,
            "causation": meta.causation_id,
            "tags": list(meta.tags),
            "nth": list(entry.nth),
            "schema_id": entry.schema,
        },
    }
    if refused:
        event["status_detail"] = data["reason"]
    if said.kind == 6003:
        event["api"] = {"operation": data.get("command") or meta.authority_permission, "service": {"name": "muniment"}}
        # OCSF asks from where; the address itself is sealed, so its keyed hash stands for it.
        event["src_endpoint"] = {"uid": meta.request_address or "unknown"}
    return event | said.parts(data)


def _metadata(entry: Entry, type: str) -> dict[str, Any]:
    return {
        "version": VERSION,
        "product": {"name": "Muniment", "vendor_name": "Muniment"},
        "uid": entry.meta.event_id,
        "event_code": type,
        "sequence": entry.position,
        "tenant_uid": entry.tenant,
        "correlation_uid": entry.meta.correlation_id,
        "original_time": time_text(entry),
        "log_name": "trail",
    }


_KINDS: Final = {"user": (1, "User"), "operator": (2, "Admin"), "system": (3, "System")}


def _actor(entry: Entry) -> dict[str, Any]:
    meta = entry.meta
    type_id, type = _KINDS.get(meta.actor_kind, (_OTHER, meta.actor_kind))
    user: dict[str, Any] = {"uid": meta.actor_id, "type_id": type_id, "type": type}
    if meta.credential_id:
        user["credential_uid"] = meta.credential_id
    return {"user": user}
