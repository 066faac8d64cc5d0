"""How commands speak: answers on standard output, as a table or as JSON; everything else on standard error."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

err = Console(stderr=True, highlight=False, soft_wrap=True)
out = Console(highlight=False, soft_wrap=True)
_wide = Console(highlight=False, width=1_000)


class Failed(Exception):
    """A command can't do what was asked; the message is one sentence that says what to do."""


def say(text: str) -> None:
    """A sentence for people, beside the answer."""
    err.print(Text(text))


def answer_json(value: Any) -> None:
    """One line for scripts."""
    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE))
    sys.stdout.buffer.flush()


def answer(value: Mapping[str, Any], *, json: bool) -> None:
    """One thing: as a line of JSON, or its members one under another."""
    if json:
        answer_json(value)
        return
    table = Table.grid(padding=(0, 2))
    for name, each in value.items():
        table.add_row(Text(name.replace("_", " "), style="dim"), Text(plain(each)))
    print_whole(table)


def answer_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, title: str = "") -> None:
    """Several things as a table."""
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.replace("_", " "), no_wrap=True)
    for row in rows:
        table.add_row(*(Text(plain(row.get(column))) for column in columns))
    print_whole(table)


def print_whole(table: Table) -> None:
    """As wide as it is: ids are for copying, so the terminal wraps and nothing is cut or folded."""
    _wide.print(table)


def plain(value: Any) -> str:
    """A value as people read it; control characters can't steer the terminal."""
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return ", ".join(plain(each) for each in value) or "–"
        case dict():
            return ", ".join(f"{name}: {plain(each)}" for name, each in value.items())
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in str(value))


class Advance(Protocol):
    def __call__(self, done: int, of: int) -> None: ...


@contextmanager
def progress(what: str) -> Iterator[Advance]:
    """A bar on standard error, told how many of how many are done; only where somebody looks."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(what, total=None)

        def advance(done: int, of: int) -> None:
            bar.update(task, completed=done, total=of)

        yield advance
