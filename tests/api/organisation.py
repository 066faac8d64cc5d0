"""A small organisation made over REST, with one of everything, for tests that need ids to name."""

from typing import Any, NamedTuple

from domain.access.check import TENANT_PERMISSIONS
from tests.node import NodeProcess, until


class Organisation(NamedTuple):
    """`ids` by the names that path parameters have; `key` may do everything in the tenant."""

    ids: dict[str, str]
    key: str
    bodies: dict[str, Any]


PERMISSIONS = sorted(TENANT_PERMISSIONS)
SINK = {"target": "https", "settings": {"url": "https://receiver.invalid/"}, "secrets": {}}


def organisation(node: NodeProcess, name: str) -> Organisation:
    """A tenant with one of everything: a user in a group, a role, a key, a webhook and a sink to nowhere, and so on."""
    with node.client() as operator:

        def make(path: str, body: dict[str, Any]) -> Any:
            answer = operator.post(path, json=body)
            assert answer.status_code in (200, 201), answer.text
            return answer.json()

        tenant = make("/v1/tenants", {"name": name})["id"]
        base = f"/v1/tenants/{tenant}"
        user = make(f"{base}/users", {"user_name": "someone", "display_name": "Someone"})["id"]
        group = make(f"{base}/groups", {"display_name": "Some"})["id"]
        operator.put(f"{base}/groups/{group}/members/{user}").raise_for_status()
        directory = make(f"{base}/directories", {"name": "Feed"})
        role = make(f"{base}/roles", {"name": "reader", "permissions": ["users:read"]})["id"]
        operator.put(f"{base}/roles/{role}/assignments/{user}", json={}).raise_for_status()
        issued = make(f"{base}/keys", {"permissions": PERMISSIONS})
        flag = make(f"{base}/flags", {"key": "shiny"})["id"]
        webhook = make(f"{base}/webhooks", {"url": "https://receiver.invalid/"})["id"]
        hold = make(f"{base}/legal_holds", {"reason": "A lawsuit"})["id"]
        sink = make(f"{base}/sinks", SINK)["id"]
        action = {"action": "ship.launched", "schema": {"type": "object", "properties": {}}}
        operator.post(f"{base}/audit-actions", json=action).raise_for_status()
        operator.put(f"{base}/settings/color", json={"value": "blue"}).raise_for_status()
        export = operator.post(f"{base}/exports", json={"format": "csv", "to": "1"}).raise_for_status().json()["id"]
        until(lambda: operator.get(f"{base}/exports/{export}").json()["state"] == "done", "the end of an export")
    return Organisation(
        ids={
            "tenant": tenant,
            "user": user,
            "group": group,
            "directory": directory["id"],
            "token": directory["token_id"],
            "role": role,
            "subject": user,
            "key": issued["id"],
            "flag": flag,
            "webhook": webhook,
            "sink": sink,
            "export": export,
            "action": "ship.launched",
            "position": "1",
            "hold": hold,
            "setting": "color",
            "tile": "entries/000.p/1",
        },
        key=issued["key"],
        bodies={
            "change_user": {"display_name": "Other"},
            "provision_user": {"user_name": "new"},
            "create_group": {"display_name": "New"},
            "rename_group": {"display_name": "Other"},
            "create_directory": {"name": "New"},
            "rename_directory": {"name": "Other"},
            "define_role": {"name": "new", "permissions": []},
            "change_role": {"permissions": []},
            "issue_key": {"permissions": ["users:read"]},
            "define_flag": {"key": "new"},
            "change_flag_default": {"default_variant": "on"},
            "target_flag": {"variant": "on"},
            "create_webhook": {"url": "https://receiver.invalid/"},
            "change_webhook": {"patience_seconds": 90},
            "replay_webhook": {"from_position": 1},
            "create_sink": SINK,
            "change_sink": {"patience_seconds": 90},
            "replay_sink": {"from_position": 1},
            "register_audit_action": {"action": "ship.landed", "schema": {"type": "object", "properties": {}}},
            "record_audit_events": {"events": [{}]},
            "request_export": {"format": "csv"},
            "query_trail": {"sql": "SELECT 1"},
            "change_retention": {"days": 365},
            "change_setting": {"value": "red"},
            "rename_tenant": {"name": "Other"},
        },
    )
