"""What operators ask of a node over REST: another key, a backup, views built anew, and proof that a tenant holds."""

import asyncio
import os
import shutil
import tarfile
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final

from fastapi import Response
from starlette.responses import StreamingResponse

from api.acting import Acting, Reading
from api.bodies import Answer, router
from api.http import problems
from api.log_side import NotBackedUp
from api.operator_key import issue_operator_key
from api.permitted import may_in_deployment, may_read_deployment

MayManageOperators = Annotated[Acting, may_in_deployment("operators:manage")]
MayManageNode = Annotated[Acting, may_in_deployment("node:manage")]
MaySeeNode = Annotated[Reading, may_read_deployment("node:manage")]
_CHUNK: Final = 1 << 18
_BACKUP: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "A tar archive of the backup.", "content": {"application/x-tar": {}}}
}
_one_at_a_time: Final = threading.Lock()

routes = router("node")


class OperatorKey(Answer):
    """The key is told this once; the node keeps it in the data folder, for its owner alone."""

    operator_key: str


@routes.post("/operator/rotate")
async def rotate_operator_key(caller: MayManageOperators) -> OperatorKey:
    """A new operator key; the one that asked opens nothing any more."""
    return OperatorKey(operator_key=await issue_operator_key(caller.node, caller.without_key().execute))


@routes.post("/node/backup", response_class=Response, responses=_BACKUP)
async def back_up(caller: MayManageNode) -> Response:
    """The ledger as it is at one moment, as a tar archive; it holds sealed values and wrapped keys, no root key."""
    files = await asyncio.to_thread(_copied, caller.node)
    return StreamingResponse(_archive(files), media_type="application/x-tar")


def _copied(node: Any) -> list[tuple[str, BinaryIO]]:
    """The files of a backup, open and with no name any more: an erasure must not find them in the folder."""
    folder: Path = node.folder.unfinished_backup
    if not _one_at_a_time.acquire(blocking=False):
        raise problems.unavailable("another backup is being made; ask again in a minute", 60)
    try:
        folder.mkdir(mode=0o700)
        node.copy_log(folder)
        return [(each.name, each.open("rb")) for each in sorted(folder.iterdir(), reverse=True)]
    except NotBackedUp as problem:
        raise problems.conflict(str(problem)) from problem
    except OSError as problem:
        raise problems.unavailable(f"the backup can't be made ({problem.strerror})", 60) from problem
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _one_at_a_time.release()


async def _archive(files: list[tuple[str, BinaryIO]]) -> AsyncGenerator[bytes, None]:
    """A tar archive (POSIX.1-1988, or its extension for what is larger than 8 GiB), as it is sent."""
    async with _closing(files):
        for name, file in files:
            member = tarfile.TarInfo(name)
            member.size, member.mode = os.fstat(file.fileno()).st_size, 0o600
            yield member.tobuf(tarfile.PAX_FORMAT)
            while chunk := await asyncio.to_thread(file.read, _CHUNK):
                yield chunk
            yield bytes(-member.size % tarfile.BLOCKSIZE)
        yield bytes(2 * tarfile.BLOCKSIZE)


@asynccontextmanager
async def _closing(files: list[tuple[str, BinaryIO]]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        for _, file in files:
            file.close()
