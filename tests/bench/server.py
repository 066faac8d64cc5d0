"""`python -m tests.bench.server DATA [constant]`: a node as it is served, or with the ledger's answer made a constant.

The constant is what the same route costs without the ledger: everything but `ledger.execute` runs as it is.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
import uvloop

from api.app import application
from api.configuration import from_environment
from api.http import structured_log
from api.wiring import Node
from domain.directory.users import ProvisionUser
from domain.ledger import Caller, Outcome


class ConstantLedger:
    """Answers every new user with the first one; passes on everything else."""

    def __init__(self, ledger: Any) -> None:
        self._ledger = ledger
        self._outcome: Outcome | None = None

    async def execute(self, command: Any, by: Caller, **rest: Any) -> Outcome:
        if isinstance(command, ProvisionUser) and self._outcome is not None:
            return self._outcome
        outcome: Outcome = await self._ledger.execute(command, by, **rest)
        if isinstance(command, ProvisionUser):
            self._outcome = outcome
        return outcome

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)


async def main(data: Path, constant: bool) -> None:
    structured_log.configure(Path(os.devnull).open("wb"))  # noqa: ASYNC230, SIM115
    node = Node(from_environment(data=data, port=0))
    await node.start()
    if constant:
        node.ledger = ConstantLedger(node.ledger)
    config = uvicorn.Config(
        application(node), host="127.0.0.1", port=0, log_config=None, access_log=False, http="httptools"
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    print(msgspec.json.encode({"port": port, "operator_key": node.operator_key}).decode(), flush=True)
    await serving
    await node.stop()


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1]), sys.argv[2:] == ["constant"]))
