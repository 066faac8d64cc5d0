"""What `muniment verify --bundle` does: bundles and exports checked offline, with the log's public key alone."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from adapters.evidence.signing import verifies
from api.cli.auditing import TenantAudit
from api.cli.exported import ExportWrong, check_files, check_rows, proofs_of, read_manifest
from api.cli.printing import Failed, answer, answer_json, answer_rows, out, plain, say
from domain.evidence.auditing import AuditWrong
from domain.evidence.bundles import MOST_BUNDLE_BYTES, BundleWrong, Verified, verify_bundle
from domain.evidence.completeness import Answer
from domain.evidence.contradictions import contradictions
from domain.evidence.heads import Head
from domain.evidence.notes import NoteWrong, PublicKey, parse_key
from schemas import registry

_MOST_ROWS: Final = 200
"""Events that are printed for people; `--json` has all of them."""
_LAST_SECOND: Final = 253_402_300_799


def verify_bundles(places: Sequence[Path], vkeys: Sequence[str], witnesses: int, *, json: bool) -> bool:
    """Whether every bundle and export proves what it holds, and none contradicts another.

    Says what is proved, or which step fails and at which position.
    """
    trusted = trusted_keys(vkeys)
    told: list[dict[str, Any]] = []
    proved: list[tuple[str, Verified]] = []
    for place in places:
        try:
            found, export = verified(place, trusted, witnesses)
        except (BundleWrong, ExportWrong) as problem:
            told.append({"bundle": str(place), "holds": False, **_failure(problem)})
        else:
            proved.append((str(place), found))
            told.append({"bundle": str(place), "holds": True, **what_is_proved(found), "export": export})
    audits = {head: _audit(head, events) for head, events in _whole_histories(proved)}
    problems = [*contradictions(proved), *(each for each in audits.values() if each is not None)]
    holds = not problems and all(each["holds"] for each in told)
    if json:
        audited = [{"tenant": head.tenant, "size": head.size, "holds": not wrong} for head, wrong in audits.items()]
        answer_json({"holds": holds, "bundles": told, "audited": audited, "problems": problems})
        return holds
    for each in told:
        if each["holds"]:
            _print(each)
        else:
            say(f"Error: {each['bundle']}: {plain(each['problem'])}")
    for head, wrong in audits.items():
        if wrong is None:
            out.print(
                f"All {head.size} events of {plain(head.tenant)}: the tags, their numbers and counts hold", markup=False
            )
    for sentence in problems:
        say(f"Error: {plain(sentence)}")
    return holds


def verified(place: Path, trusted: Sequence[PublicKey], witnesses: int) -> tuple[Verified, str | None]:
    """What a bundle proves; of an export's folder, what the bundle in it proves, and the format of its rows."""
    if not place.is_dir():
        return _verified_file(place, trusted, witnesses), None
    manifest = read_manifest(place)
    check_files(place, manifest)
    found = _verified_file(proofs_of(place, manifest), trusted, witnesses)
    check_rows(place, manifest, found)
    return found, manifest.format


def _verified_file(file: Path, trusted: Sequence[PublicKey], witnesses: int) -> Verified:
    with file.open("rb") as source:
        data = source.read(MOST_BUNDLE_BYTES + 1)
    return verify_bundle(data, trusted, verifies, witnesses=witnesses)


def _failure(problem: BundleWrong | ExportWrong) -> dict[str, Any]:
    if isinstance(problem, ExportWrong):
        return {"step": "export", "position": None, "problem": f"export: {problem}"}
    return {"step": problem.step, "position": problem.position, "problem": str(problem)}


def _whole_histories(proved: Sequence[tuple[str, Verified]]) -> Iterator[tuple[Head, list[bytes]]]:
    """The heads all of whose events are in the bundles together."""
    for head in dict.fromkeys(found.head for _, found in proved):
        events = {each.position: each.stored for _, found in proved if found.head == head for each in found.events}
        if events and len(events) == head.size:
            yield head, [stored for _, stored in sorted(events.items())]


def _audit(head: Head, events: Sequence[bytes]) -> str | None:
    """What is wrong with a whole history; None if nothing."""
    audit = TenantAudit(head.tenant)
    try:
        for stored in events:
            audit.add(stored)
        audit.check(head)
    except AuditWrong as problem:
        return f"{head.tenant}: {problem}"
    return None


def trusted_keys(given: Sequence[str]) -> list[PublicKey]:
    """Of keys, and of files with a key a line. Raises Failed."""
    keys = [_key(line) for each in given for line in _lines(each)]
    if not keys:
        raise Failed(
            "name the log's public key with --vkey (a node tells it at /v1/evidence/keys): "
            "have it from somebody you trust, and not with the bundle"
        )
    return keys


def _lines(given: str) -> list[str]:
    if "+" in given:
        return [given]
    try:
        text = Path(given).read_text()
    except (OSError, ValueError) as problem:
        raise Failed("--vkey is a public key (name+id+key) or a file with one a line") from problem
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _key(text: str) -> PublicKey:
    try:
        return parse_key(text)
    except NoteWrong as problem:
        raise Failed(str(problem)) from None


def what_is_proved(found: Verified) -> dict[str, Any]:
    """What a bundle proves, as JSON says it."""
    return {
        "log": found.checkpoint.origin,
        "log_size": found.checkpoint.size,
        "log_root": found.checkpoint.root.hex(),
        "signed_by": [
            {"name": each.key.name, "time": None if each.time is None else _time(each.time * 1_000_000)}
            for each in found.by
        ],
        "tenant": found.head.tenant,
        "size": found.head.size,
        "root": found.head.root.hex(),
        "events": [
            {
                "position": each.position,
                "recorded_at": _time(each.stamp.instant),
                "type": _type(each.stamp.schema),
                "event_id": each.stamp.event_id,
                "tags": list(each.stamp.nth),
            }
            for each in found.events
        ],
        "complete": None if found.answer is None else _complete(found.answer),
    }


def _complete(answered: Answer) -> dict[str, Any]:
    first, last = (
        each if answered.range.by == "position" else _time(each) for each in (answered.range.first, answered.range.last)
    )
    return {
        "tag": answered.tag,
        "by": answered.range.by,
        "first": first,
        "last": last,
        "matching": answered.matching,
        "total": answered.total,
        "last_position": answered.last,
    }


def _type(schema: int) -> str:
    """What the event is called; a verifier that is older than the event doesn't know."""
    known = registry.by_id().get(schema)
    return f"schema {schema}" if known is None else known.event


def _time(instant: int) -> str:
    """Of microseconds, which a hostile bundle may put beyond any calendar."""
    if instant // 1_000_000 > _LAST_SECOND:
        return f"{instant} µs"
    return datetime.fromtimestamp(instant / 1_000_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _print(told: dict[str, Any]) -> None:
    events, complete = told["events"], told["complete"]
    out.print(f"{told['bundle']} holds", markup=False)
    signed = [each["name"] + (f" at {each['time']}" if each["time"] else "") for each in told["signed_by"]]
    answer(
        {
            "signed by": signed,
            "log": f"{told['log']}, {told['log_size']} leaves, root {told['log_root'][:16]}…",
            "tenant": f"{told['tenant']}, {told['size']} events, root {told['root'][:16]}…",
            "proved": f"{len(events)} events"
            + (f", and that {told['export']} says what they say" if told["export"] else ""),
        },
        json=False,
    )
    answer_rows(events[:_MOST_ROWS], ("position", "recorded_at", "type", "event_id"))
    if len(events) > _MOST_ROWS:
        say(f"and {len(events) - _MOST_ROWS} more; --json lists all of them")
    if complete is not None:
        of = "positions" if complete["by"] == "position" else "times"
        answer(
            {
                "these are all": f"{complete['matching']} events with {complete['tag']}",
                f"in the {of}": f"{complete['first']} to {complete['last']}",
                "of": f"{complete['total']} with it among the first {told['size']} events, the last at position "
                f"{complete['last_position']}",
            },
            json=False,
        )
