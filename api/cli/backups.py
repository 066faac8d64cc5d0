"""`muniment backup` and `muniment restore`: a copy of one moment, and a new data folder made of it."""

import asyncio
import tarfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, BinaryIO, Final

import httpx
import typer

from adapters.embedded.backup import LOG, MANIFEST, BackupBroken, Manifest, back_up, read_manifest
from adapters.embedded.backup import restore as restore_log
from adapters.embedded.checkpoint_backup import CHECKPOINTS
from adapters.embedded.erasures import Erasure, erasures_in, erasures_listed
from api.cli.door import DEFAULT, Data, Json, Key, Url, running_node, understood
from api.cli.erasing import erase_again
from api.cli.printing import Advance, Failed, answer, progress, say
from api.configuration import from_environment
from api.data_folder import DataFolder
from domain.event import Instant

_ALLOWED: Final = {"root.key"}
"""What a folder that is restored into may hold already."""


def backup(
    into: Annotated[Path, typer.Argument(metavar="INTO", help="A folder that doesn't exist yet.")],
    url: Url = None,
    key: Key = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Copy a node's ledger as it is at one moment, also while it runs; every hash of the copy is checked.

    Keep the root key elsewhere: the copy is of no use without it, nor to anybody who doesn't have it.
    """
    with progress("Backing up") as advance:
        if url is None:
            folder = DataFolder(data or DEFAULT)
            manifest = back_up(folder.ledger, into, advance)
        else:
            _fetch(into, url, key, data)
            manifest = read_manifest(into)
    answer(_told(into, manifest), json=json)


def _told(where: Path, manifest: Manifest) -> dict[str, object]:
    return {
        "folder": str(where),
        "events": manifest.sequence,
        "tenants": manifest.tenants,
        "as_of": _time(manifest.instant),
        "chain": manifest.chain,
        "bytes": manifest.size,
    }


def _time(instant: int) -> str:
    return datetime.fromtimestamp(instant / 1_000_000, UTC).isoformat(timespec="seconds") if instant else "–"


def _fetch(into: Path, url: str, key: str | None, data: Path | None) -> None:
    """A backup that a node sends, as it comes; it is checked when it is restored."""
    if into.exists():
        raise BackupBroken("the backup's folder exists already: name one that doesn't, so that no backup is lost")
    unfinished = into.with_name(into.name + ".unfinished")
    unfinished.mkdir(mode=0o700, parents=True)
    archive = unfinished / "backup.tar"
    try:
        with archive.open("wb") as file:
            asyncio.run(_download(file, url, key, data))
        with tarfile.open(archive) as members:
            for name in (MANIFEST, LOG, *({CHECKPOINTS} & set(members.getnames()))):
                members.extract(name, unfinished, filter="data")
        archive.unlink()
        unfinished.rename(into)
    except (tarfile.TarError, KeyError) as problem:
        raise Failed("the backup did not arrive whole: fetch it again") from problem
    finally:
        if unfinished.exists():
            for each in unfinished.iterdir():
                each.unlink()
            unfinished.rmdir()


async def _download(file: BinaryIO, url: str, key: str | None, data: Path | None) -> None:
    try:
        async with (
            running_node(url, key, data) as node,
            node.client.stream("POST", "/v1/node/backup", timeout=httpx.Timeout(600)) as response,
        ):
            if not response.is_success:
                await response.aread()
                understood(response)
            async for chunk in response.aiter_bytes():
                file.write(chunk)
    except httpx.HTTPError as problem:
        raise Failed("the backup did not arrive whole: fetch it again") from problem


def restore(
    backup: Annotated[Path, typer.Argument(metavar="BACKUP", help="A folder that `muniment backup` made.")],
    data: Data = None,
    erasures_from: Annotated[
        list[Path] | None,
        typer.Option(
            help="Who was erased since: the old data folder, a newer backup, or a file: a tenant and a user a line."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Make a new data folder of a backup. It is checked whole, and who was erased since stays erased if you say who.

    The root key comes from MUNIMENT_ROOT_KEY, MUNIMENT_ROOT_KEY_FILE, or a root.key that you put into the folder first.
    """
    folder = DataFolder(data or DEFAULT)
    folder.make()
    if strangers := sorted(each.name for each in folder.path.iterdir() if each.name not in _ALLOWED):
        raise Failed(f"{folder.path} is not empty ({strangers[0]} is there): restore into an empty folder")
    configuration = from_environment(data=folder.path)
    if configuration.root_key is None and not folder.root_key.exists():
        raise Failed(
            "the root key of the backup's node is needed: set MUNIMENT_ROOT_KEY or MUNIMENT_ROOT_KEY_FILE, "
            f"or put it at {folder.root_key}"
        )
    erased = _erasures(erasures_from or [])
    now = Instant(time.time_ns() // 1000)
    with progress("Checking and restoring") as advance:
        manifest = restore_log(backup, folder.ledger, folder.tail, now, advance)
        again = asyncio.run(_open(folder, erased, advance))
    if not erasures_from:
        say(
            f"Nobody who was erased after {_time(manifest.instant)} is erased here: "
            "restore again with --erasures-from, or erase them again, before anybody reads."
        )
    answer({**_told(folder.path, manifest), "erased_again": again}, json=json)


async def _open(folder: DataFolder, erased: list[Erasure], advance: Advance) -> int:
    """That the root key opens it, and that nobody's erasure is undone; else the folder is as empty as it was."""
    try:
        return await erase_again(folder, erased, advance)
    except BaseException:
        for each in folder.path.iterdir():
            if each.name not in _ALLOWED:
                each.unlink()
        raise


def _erasures(sources: list[Path]) -> list[Erasure]:
    found: dict[Erasure, None] = {}
    for source in sources:
        log = source / LOG
        for erasure in erasures_in(log) if log.exists() else erasures_listed(source):
            found[erasure] = None
    return list(found)
