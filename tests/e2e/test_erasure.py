"""Erasing a person: once it has answered, no byte under the data folder says or opens anything of them."""

import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.node import NodeProcess, running_node

PERSONAL = {
    "user_name": "zoidberg.of.decapod-10",
    "display_name": "Doctor Zoidberg Esquire",
    "given_name": "Johnathan-Zee",
    "family_name": "Zoidberg-Shellington",
    "email": "why.not@zoidberg.example",
    "attributes": {"note": "likes-rotten-fish-and-anchovies"},
}
NEEDLES = [value for value in PERSONAL.values() if isinstance(value, str)] + ["likes-rotten-fish-and-anchovies"]
LATER = "second-name-of-zoidberg"


class Erased:
    """A node in which one person was made, changed, read, listed, and erased."""

    def __init__(self, node: NodeProcess) -> None:
        self.node = node
        self.client = node.client()
        self.tenant = self._post("/v1/tenants", {"name": "Erasing"})["id"]
        self.base = f"/v1/tenants/{self.tenant}"
        for number in range(50):
            self._post(f"{self.base}/users", {"user_name": f"other-{number}", "display_name": f"Other {number}"})
        made = self._post(f"{self.base}/users", PERSONAL)
        self.user, self.made_at = made["id"], made["since"]
        group = self._post(f"{self.base}/groups", {"display_name": "Doctors"})["id"]
        self.client.put(f"{self.base}/groups/{group}/members/{self.user}").raise_for_status()
        self.client.put(f"{self.base}/roles/rol_owner/assignments/{self.user}", json={}).raise_for_status()
        key = self._post(
            f"{self.base}/keys",
            {"permissions": ["users:read", "users:manage"], "holder": self.user, "name": "laptop of zoidberg"},
        )
        with node.client(key["key"]) as own:
            own.headers["User-Agent"] = "claw-browser-of-zoidberg"
            own.patch(f"{self.base}/users/{self.user}", json={"user_name": LATER}).raise_for_status()
        for path in ("users", "trail", f"users/{self.user}", f"users?user_name={LATER}"):
            self.client.get(f"{self.base}/{path}").raise_for_status()
        other = self.client.get(f"{self.base}/users", params={"user_name": "other-1"}).json()["items"][0]["id"]
        self.client.put(f"{self.base}/roles/rol_owner/assignments/{other}", json={}).raise_for_status()
        self.keys = self._wrapped_keys()
        self.receipt = self._post(f"{self.base}/users/{self.user}/erase", None)

    def _post(self, path: str, body: Any) -> Any:
        answer = self.client.post(path, json=body) if body is not None else self.client.post(path)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    def _wrapped_keys(self) -> list[bytes]:
        with sqlite3.connect(f"file:{self.node.data / 'ledger.db'}?mode=ro", uri=True) as connection:
            rows = connection.execute("SELECT wrapped FROM data_keys WHERE subject = ?", (self.user,)).fetchall()
        connection.close()
        return [row[0] for row in rows]


@pytest.fixture(scope="module")
def erased(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with running_node(tmp_path_factory.mktemp("erasing") / "data") as node:
        found = Erased(node)
        yield found
        found.client.close()


def findings(folder: Path, needles: list[bytes]) -> list[tuple[str, bytes]]:
    """Each file that holds one of these, and which."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            found += [(path.name, needle) for needle in needles if needle in data]
    return found


def test_the_receipt_says_it_is_done(erased: Erased) -> None:
    assert erased.receipt["done"] is True
    assert erased.receipt["position"] > erased.made_at


def test_no_byte_of_the_folder_holds_what_was_said_of_the_person(erased: Erased) -> None:
    said = [*NEEDLES, LATER, "claw-browser-of-zoidberg", "laptop of zoidberg"]
    needles = [each.encode() for each in said] + [each.encode("utf-16-le") for each in said]
    assert findings(erased.node.data, needles) == []
    assert findings(erased.node.errors.parent, needles) == [], "nor do the logs"


def test_no_byte_of_the_folder_is_a_key_that_opens_it(erased: Erased) -> None:
    assert erased.keys
    assert all(any(key) for key in erased.keys)
    pieces = [key[start : start + 16] for key in erased.keys for start in range(0, len(key) - 16, 16)]
    assert findings(erased.node.data, pieces) == []


def test_history_still_reads_and_shows_the_person_as_erased(erased: Erased) -> None:
    trail = erased.client.get(f"{erased.base}/trail", params={"subject": erased.user, "limit": 100}).json()["items"]
    provisioned = next(each for each in trail if each["type"] == "UserProvisioned")
    assert provisioned["data"]["user_name"] is None
    assert "user_name" in provisioned["erased"]
    own = next(each for each in trail if each["type"] == "UserRenamed")
    assert own["request"] is None
    assert {each["type"] for each in trail} >= {"UserDeleted", "SubjectErased"}
    (key,) = erased.client.get(f"{erased.base}/keys").json()["items"]
    assert key["name"] is None
    then = erased.client.get(f"{erased.base}/users/{erased.user}", params={"as_of": erased.made_at}).json()
    assert then["erased"] is True
    assert then["user_name"] is None
    assert then["active"] is True


def test_every_hash_still_holds(erased: Erased) -> None:
    assert erased.client.post(f"{erased.base}/verify").json()["holds"]
    assert erased.client.post("/v1/node/verify").json()["holds"]


def test_the_name_is_free_and_finds_nobody(erased: Erased) -> None:
    found = erased.client.get(f"{erased.base}/users", params={"user_name": LATER}).json()["items"]
    assert found == []


def test_a_second_erasure_is_told_that_it_is_done(erased: Erased) -> None:
    answer: httpx.Response = erased.client.post(f"{erased.base}/users/{erased.user}/erase")
    assert answer.status_code == 404
