"""Serving: a node behind a socket, from the first signal to the last answer."""

import asyncio
import contextlib
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import uvicorn
import uvloop
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from api.app import application
from api.cli.printing import answer_json, err, out
from api.configuration import Configuration, ConfigurationError
from api.data_folder import DataFolder
from api.wiring import Node

PATIENCE: Final = 30
"""Seconds that requests under way have once the node is told to stop."""
_REACHED: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
"""How a node that listens everywhere is reached from here."""
_STOP: Final = (signal.SIGINT, signal.SIGTERM)


def run(configuration: Configuration, *, json: bool) -> None:
    """Until it is told to stop. Raises ConfigurationError, and what a node raises that can't start."""
    with contextlib.closing(listen(configuration)) as listening:
        uvloop.run(_serve(configuration, listening, json=json))


def listen(configuration: Configuration) -> socket.socket:
    """Bound before anything is opened, so that a port that is taken is said at once."""
    host, port = configuration.host, configuration.port
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as problem:
        raise ConfigurationError(f"{host} is no address of this machine: set --host or MUNIMENT_HOST") from problem
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        return listening
    except OSError as problem:
        listening.close()
        raise ConfigurationError(
            f"port {port} of {host} can't be used ({problem.strerror}): choose another with --port or MUNIMENT_PORT; "
            "0 takes a free one"
        ) from problem


async def _serve(configuration: Configuration, listening: socket.socket, *, json: bool) -> None:
    node = Node(configuration)
    node.url = url_of(configuration.host, listening)
    starting = asyncio.ensure_future(_start(node))
    with told_to_stop(starting.cancel):
        try:
            with _waiting(node, json):
                await starting
        except asyncio.CancelledError:
            return
    try:
        server = Server(node, json=json)
        with told_to_stop(server.stop), _address(node.folder, node.url):
            await server.serve(sockets=[listening])
    finally:
        await node.stop()


async def _start(node: Node) -> None:
    """All of it or nothing: what was opened is closed again, whatever stops it."""
    try:
        await node.start()
    except BaseException:
        await node.stop()
        raise


class Server(uvicorn.Server):
    """Uvicorn, which says when it answers, and whose signals are ours."""

    def __init__(self, node: Node, *, json: bool) -> None:
        super().__init__(
            uvicorn.Config(
                application(node),
                loop="none",
                http="httptools",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=PATIENCE,
            )
        )
        self._node = node
        self._json = json

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # `told_to_stop` holds them until everything is closed, also after the server

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.welcome(self._node, json=self._json)

    def welcome(self, node: Node, *, json: bool) -> None:
        """Say where it answers."""
        if json:
            answer_json({"url": node.url, "operator_key": node.operator_key})
        else:
            _welcome(node)

    def stop(self) -> None:
        """Graceful; asked twice, without waiting for requests under way."""
        self.handle_exit(signal.SIGINT, None)

    def handle_exit(self, sig: int, frame: object) -> None:
        self._node.stopping.set()
        super().handle_exit(sig, None)


@contextlib.contextmanager
def told_to_stop(stop: Callable[[], object]) -> Iterator[None]:
    """Signals call `stop` for as long as the block lasts."""
    loop = asyncio.get_running_loop()
    for each in _STOP:
        loop.add_signal_handler(each, stop)
    try:
        yield
    finally:
        for each in _STOP:
            loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_IGN)  # closing is not interrupted


@contextlib.contextmanager
def _address(folder: DataFolder, url: str) -> Iterator[None]:
    """Where the node answers, for commands that are given the folder."""
    folder.address.write_text(url + "\n")
    try:
        yield
    finally:
        folder.address.unlink(missing_ok=True)


def url_of(host: str, listening: socket.socket) -> str:
    """Where whoever listens is reached from here."""
    port = listening.getsockname()[1]
    reached = _REACHED.get(host, host)
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"


@contextlib.contextmanager
def _waiting(node: Node, json: bool) -> Iterator[None]:
    if json or not err.is_terminal:
        yield
        return
    with err.status("Starting the node") as status:

        def read(done: int, of: int) -> None:
            status.update(f"Reading the ledger: {done:,} of {of:,} records" if done < of else "Starting the node")

        node.on_progress = read
        yield


def _welcome(node: Node) -> None:
    folder = node.folder.path
    program = _program()
    about = Table.grid(padding=(0, 2))
    about.add_row("URL", Text(node.url, style="bold"))
    about.add_row("Operator key", Text(node.operator_key or "kept by the node that was started first", style="bold"))
    about.add_row("Data folder", Text(str(folder.absolute())))
    out.print(Panel(about, title="Muniment is ready", title_align="left", expand=False))
    out.print("Three commands to try in another terminal:")
    for command in (
        f'{program} tenant create "Slurm Factory" --data {folder}',
        f"{program} demo --small --data {folder}",
        f'curl -H "Authorization: Bearer $(cat {node.folder.operator_key})" {node.url}/v1/tenants',
    ):
        out.print(Text(f"  {command}"))
    out.print("Ctrl-C stops it.")


def _program() -> str:
    """How this program is called from here."""
    if shutil.which("muniment") == sys.argv[0] or not sys.argv[0].endswith("muniment"):
        return "muniment"
    here, called = Path.cwd(), Path(sys.argv[0])
    return str(called.relative_to(here)) if called.is_absolute() and called.is_relative_to(here) else str(called)
