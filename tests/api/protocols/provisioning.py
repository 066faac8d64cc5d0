"""A directory as a provider sees it: its address, its token, and the words a provider uses."""

import secrets
from typing import Any

import httpx

from adapters.scim.patch import PATCH_URN
from adapters.scim.schema import ENTERPRISE, GROUP, USER
from tests.node import PATIENCE, NodeProcess

SCIM = "application/scim+json"


class Provider:
    """Speaks to one directory of one tenant; `operator` speaks to the rest of the node."""

    def __init__(self, node: NodeProcess, provider: str = "generic", tenant: str | None = None) -> None:
        self.operator = node.client()
        self.tenant = tenant or self._make("/v1/tenants", {"name": f"Scim {secrets.token_hex(8)}"})["id"]
        made = self._make(f"/v1/tenants/{self.tenant}/directories", {"name": "Feed", "provider": provider})
        self.directory, self.url, self.token = made["id"], made["scim_url"], made["token"]
        self.http = httpx.Client(headers={"Authorization": f"Bearer {self.token}"}, timeout=PATIENCE)

    def _make(self, path: str, body: dict[str, Any]) -> Any:
        answer = self.operator.post(path, json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def close(self) -> None:
        self.operator.close()
        self.http.close()

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        if body is not None:
            headers = {"Content-Type": SCIM, **headers}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.request(method, self.url + path, json=body, headers=named)

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.ask("GET", path, **headers)

    def found(self, path: str) -> Any:
        """The body of what is there."""
        answer = self.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def find(self, kind: str, filter_: str) -> list[Any]:
        answer = self.http.get(f"{self.url}/{kind}", params={"filter": filter_})
        assert answer.status_code == 200, answer.text
        listed = answer.json()
        assert listed["totalResults"] == listed["itemsPerPage"] == len(listed["Resources"])
        resources: list[Any] = listed["Resources"]
        return resources

    def new_user(self, user_name: str, **attributes: Any) -> Any:
        answer = self.ask("POST", "/Users", user(user_name, **attributes))
        assert answer.status_code == 201, answer.text
        return answer.json()

    def new_group(self, name: str, *members: str, **attributes: Any) -> Any:
        answer = self.ask("POST", "/Groups", group(name, *members, **attributes))
        assert answer.status_code == 201, answer.text
        return answer.json()

    def patch(self, path: str, *operations: dict[str, Any], **headers: str) -> httpx.Response:
        return self.ask("PATCH", path, {"schemas": [PATCH_URN], "Operations": list(operations)}, **headers)

    def members(self, group_id: str) -> set[str]:
        return {member["value"] for member in self.found(f"/Groups/{group_id}").get("members", [])}

    def events(self, after: int = 0) -> list[Any]:
        """The tenant's events after a position."""
        answer = self.operator.get(f"/v1/tenants/{self.tenant}/events", params={"after": after, "limit": 500})
        assert answer.status_code == 200, answer.text
        items: list[Any] = answer.json()["items"]
        return items

    @property
    def head(self) -> int:
        answer = self.operator.get(f"/v1/tenants/{self.tenant}/events", params={"after": 2**53})
        head: int = answer.json()["head"]
        return head


def user(user_name: str, **attributes: Any) -> dict[str, Any]:
    extended = ENTERPRISE in attributes
    return {"schemas": [USER.urn, *([ENTERPRISE] if extended else [])], "userName": user_name, **attributes}


def group(name: str, *members: str, **attributes: Any) -> dict[str, Any]:
    listed = {"members": [{"value": member} for member in members]} if members else {}
    return {"schemas": [GROUP.urn], "displayName": name, **listed, **attributes}
