"""Serving a past moment: a read-only node behind a socket, beside the one that writes, if one runs."""

import contextlib
import socket
from typing import Any, cast

import uvloop
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from api.as_of_node import AsOfNode
from api.cli.printing import answer_json, out
from api.cli.serving import Server, listen, told_to_stop, url_of
from api.configuration import Configuration


def run(configuration: Configuration, moment: str, *, json: bool) -> None:
    """Until it is told to stop. Raises ConfigurationError."""
    with contextlib.closing(listen(configuration)) as listening:
        uvloop.run(_serve(configuration, moment, listening, json=json))


async def _serve(configuration: Configuration, moment: str, listening: socket.socket, *, json: bool) -> None:
    node = AsOfNode(configuration, moment)
    node.url = url_of(configuration.host, listening)
    try:
        await node.start()
        server = _Server(cast(Any, node), json=json)
        with told_to_stop(server.stop):
            await server.serve(sockets=[listening])
    finally:
        await node.stop()


class _Server(Server):
    def welcome(self, node: Any, *, json: bool) -> None:
        if json:
            answer_json({"url": node.url, "operator_key": node.operator_key, "as_of": node.as_of, "read_only": True})
            return
        about = Table.grid(padding=(0, 2))
        about.add_row("URL", Text(node.url, style="bold"))
        about.add_row("Key", Text(node.operator_key, style="bold"))
        about.add_row("As of", Text(node.as_of))
        about.add_row("Data folder", Text(str(node.folder.path.absolute())))
        out.print(Panel(about, title="A read-only node of then", title_align="left", expand=False))
        out.print("The key opens this process alone, until it ends; no other key opens anything here. Ctrl-C stops it.")
