"""Go's libraries for transparency logs verify our bundles, proofs and tiles, and refuse what we refuse."""

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from domain.evidence.bundles import BundleWrong, verify_bundle
from domain.evidence.completeness import Range
from domain.evidence.levels import Levels
from domain.evidence.notes import parse_key
from domain.evidence.proofs import consistency_proof, inclusion_proof, root_at
from domain.evidence.tiles import tiles_of
from domain.evidence.tree import leaf_hash
from tests.domain.evidence.deployment import ORIGIN, small
from tests.domain.evidence.signing import Signer, verifies
from tests.evidence_vectors import FOLDER

pytestmark = pytest.mark.timeout(1_000)  # building it may fetch Go and a module

DEPLOYMENT, HISTORY, HEAD, INDEX = small()
KEY = DEPLOYMENT.signer.key
ASKED = Range("position", 10, 30)


def run(verifier: Path, *words: str, told: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([verifier, *words], input=told, capture_output=True, text=True, timeout=300, check=False)


def bundle(verifier: Path, folder: Path, data: bytes, vkey: str = KEY.text) -> subprocess.CompletedProcess[str]:
    file = folder / "events.muniment.json"
    file.write_bytes(data)
    return run(verifier, "bundle", str(file), vkey)


def complete() -> bytes:
    events, answer = HISTORY.answer("user:a", ASKED)
    return DEPLOYMENT.bundle(HEAD, INDEX, events, answer)


def test_go_verifies_a_bundle(verifier: Path, tmp_path: Path) -> None:
    data = DEPLOYMENT.bundle(HEAD, INDEX, [HISTORY.proof(position) for position in (1, 7, 40)])
    done = bundle(verifier, tmp_path, data)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "origin": ORIGIN,
        "log_size": 3,
        "tenant": "ten_acme",
        "size": 40,
        "positions": [1, 7, 40],
    }


@pytest.mark.parametrize("by", ["position", "recorded_at"])
@pytest.mark.parametrize("tag", ["user:a", "group:g", "user:nobody", "command:cmd_7"])
def test_go_verifies_that_these_are_all(verifier: Path, tmp_path: Path, by: Any, tag: str) -> None:
    first, last = (10, 30) if by == "position" else (HISTORY.instant(10), HISTORY.instant(30))
    events, answer = HISTORY.answer(tag, Range(by, first, last))
    done = bundle(verifier, tmp_path, DEPLOYMENT.bundle(HEAD, INDEX, events, answer))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["tag"], found.get("total", 0)) == (tag, len(HISTORY.with_tag(tag)))
    assert found["positions"] == [each for each in HISTORY.with_tag(tag) if 10 <= each <= 30]


def test_go_trusts_no_other_key(verifier: Path, tmp_path: Path) -> None:
    for key in (Signer("other.example").key, KEY._replace(public=Signer("other.example").key.public)):
        done = bundle(verifier, tmp_path, complete(), key.text)
        assert done.returncode == 1
        assert "signature" in done.stderr


def turned(text: str) -> str:
    told = bytearray(base64.b64decode(text))
    told[-1] ^= 1
    return base64.b64encode(told).decode()


def test_go_refuses_what_we_refuse(verifier: Path, tmp_path: Path) -> None:
    changes: list[tuple[str, Any]] = [
        ("signature", lambda b: b.update(checkpoint=b["checkpoint"].replace("\n3\n", "\n4\n"))),
        ("head", lambda b: b["head"].update(tenant="ten_other")),
        ("head", lambda b: b["head"].update(size=41)),
        ("head", lambda b: b["head"].update(blind=turned(b["head"]["blind"]))),
        ("head", lambda b: b["head"].update(counts=turned(b["head"]["counts"]))),
        ("head", lambda b: b["head"].update(index=0)),
        ("position 10", lambda b: b["events"][0].update(position=10)),
        ("position 11", lambda b: b["events"][0].update(stored=turned(b["events"][0]["stored"]))),
        ("position 11", lambda b: b["events"][0]["proof"].pop()),
        ("completeness", lambda b: b["events"].pop()),
        ("completeness", lambda b: b["events"].pop(3)),
        ("completeness", lambda b: b["complete"].update(before=None)),
        ("completeness", lambda b: b["complete"].update(after=None)),
        ("completeness", lambda b: b["complete"].update(tag="group:g")),
        ("completeness", lambda b: b["complete"]["range"].update(last=40)),
        ("completeness", lambda b: b["complete"]["bucket"].pop()),
        ("completeness", lambda b: b["complete"]["path"].reverse()),
    ]
    for step, change in changes:
        parts = json.loads(complete())
        change(parts)
        data = json.dumps(parts).encode()
        with pytest.raises(BundleWrong, match=step):
            verify_bundle(data, [KEY], verifies)
        done = bundle(verifier, tmp_path, data)
        assert (done.returncode, done.stdout) == (1, "")
        assert step in done.stderr


def test_go_verifies_the_bundles_of_every_version(verifier: Path) -> None:
    vkey = (FOLDER / "bundle.vkey").read_text().split()[0]
    for file in sorted(FOLDER.glob("*.muniment.json")):
        done = run(verifier, "bundle", str(file), vkey)
        assert done.returncode == 0, done.stderr
        found = verify_bundle(file.read_bytes(), [parse_key(vkey)], verifies)
        assert json.loads(done.stdout)["positions"] == [each.position for each in found.events]


def test_go_verifies_our_proofs(verifier: Path) -> None:
    entries = [b"entry %d" % number for number in range(130)]
    tree = Levels(map(leaf_hash, entries))
    roots = [root_at(size, tree.node) for size in range(len(entries) + 1)]
    lines = []
    for size in range(1, len(entries) + 1):
        for index in range(size):
            proof = inclusion_proof(index, size, tree.node)
            lines.append({"leaf": entries[index], "index": index, "size": size, "root": roots[size], "proof": proof})
        for old in range(1, size + 1):
            proof = consistency_proof(old, size, tree.node)
            lines.append({"old": old, "old_root": roots[old], "size": size, "root": roots[size], "proof": proof})
    assert run(verifier, "proofs", told=as_lines(lines)).stderr == ""
    lines[777]["root"] = roots[0]
    assert run(verifier, "proofs", told=as_lines(lines)).stderr.startswith("proof 778: ")


def as_lines(proofs: list[dict[str, Any]]) -> str:
    def plain(value: Any) -> Any:
        if isinstance(value, bytes):
            return base64.b64encode(value).decode()
        return [plain(each) for each in value] if isinstance(value, list) else value

    return "".join(json.dumps({name: plain(value) for name, value in each.items()}) + "\n" for each in proofs)


def test_go_names_our_tiles_alike(verifier: Path) -> None:
    tiles = [*tiles_of(70_000), *tiles_of(256 * 1_234_567 + 3, 256 * 1_234_560)]
    told = "".join(f"{each.level} {each.number} {each.width}\n" for each in tiles)
    assert run(verifier, "tiles", told=told).stdout.split() == [each.path for each in tiles]
