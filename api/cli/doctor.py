"""`muniment doctor`: what is wrong with a node and its data folder, and what to do about it."""

import asyncio
from typing import Any

import typer
from rich.table import Table
from rich.text import Text

from api.cli.door import DEFAULT, Data, Json, Key, Url
from api.cli.examining import Finding, examine_folder, examine_machine, examine_node
from api.cli.examining_kafka import examine_kafka
from api.cli.printing import answer_json, print_whole
from api.configuration import ConfigurationError, KafkaConfiguration, from_environment
from api.data_folder import DataFolder

_SIGNS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "wrong": ("✗", "red")}


def doctor(url: Url = None, key: Key = None, data: Data = None, json: Json = False) -> None:
    """Say what is wrong and what to do; 1 if anything is wrong."""
    folder = DataFolder(data or DEFAULT)
    findings = [*examine_machine(folder.path), *asyncio.run(examine_node(url, folder))]
    if url is None:
        kafka = _kafka(folder)
        findings += examine_folder(folder) if kafka is None else [*examine_kafka(kafka)]
    healthy = all(each.state != "wrong" for each in findings)
    if json:
        answer_json({"healthy": healthy, "findings": [_plain(each) for each in findings]})
    else:
        _print(findings)
    if not healthy:
        raise typer.Exit(1)


def _kafka(folder: DataFolder) -> KafkaConfiguration | None:
    """How the ledger on Kafka is reached; None if it is the folder's own, or the settings are wrong."""
    try:
        return from_environment(data=folder.path).kafka
    except ConfigurationError:
        return None


def _plain(finding: Finding) -> dict[str, Any]:
    return {"about": finding.about, "state": finding.state, "found": finding.found, "do": finding.do}


def _print(findings: list[Finding]) -> None:
    table = Table.grid(padding=(0, 2))
    for each in findings:
        sign, colour = _SIGNS[each.state]
        table.add_row(Text(sign, style=colour), each.about, Text(each.found + (f": {each.do}" if each.do else "")))
    print_whole(table)
