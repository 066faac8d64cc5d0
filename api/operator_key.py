"""The operator's key: made at the first start, kept in a file for its owner alone, replaced on demand."""

import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from api.data_folder import write_secret
from domain.access import secrets
from domain.agents import OperatorKeyIssued, RotateOperatorKey
from domain.boundary import Expectation, Item
from domain.command import Command, Refused
from domain.ids import DEPLOYMENT, CredentialId, OperatorId, id_from
from domain.ledger import Actor, Authority, AuthorityChanged, Caller, Outcome, QueueFull, VersionChanged

if TYPE_CHECKING:
    from api.wiring import Node

OPERATOR = OperatorId("opr_first")
"""The operator that every deployment begins with."""


def system(node: "Node", why: str) -> Caller:
    """The node itself, acting in the deployment's history."""
    authority = Authority("operators:manage", id_from("dec", node.clock(), os.urandom(10)), ("system",))
    return Caller(DEPLOYMENT, Actor("system", why), authority, id_from("cor", node.clock(), os.urandom(10)))


async def ensure_operator_key(node: "Node") -> str | None:
    """The key in the folder, if it opens; else a new one, which makes any other worthless.

    Among several nodes, None if another has the key: which one was started first, the deployment's history says.
    """
    path = node.folder.operator_key
    if path.exists() and not node.configuration.new_operator_key:
        head = node.feed.head(DEPLOYMENT)
        for each in (path, path.with_name(path.name + ".before")):
            kept = each.read_text().strip() if each.exists() else ""
            secret = secrets.read(kept)
            if secret is not None and node.residents.tenant(DEPLOYMENT, head).credential(secret.digest) is not None:
                write_secret(path, kept)
                return kept
    by = system(node, "start")
    if node.configuration.kafka is None or node.configuration.new_operator_key:
        return await issue_operator_key(node, lambda command: node.ledger.execute(command, by))
    if node.history.latest(DEPLOYMENT, f"operator:{OPERATOR}", (OperatorKeyIssued.__name__,)):
        return None
    first = Expectation(Item((f"operator:{OPERATOR}",), (OperatorKeyIssued,)), 0)
    try:
        return await issue_operator_key(node, lambda command: node.ledger.execute(command, by, expects=(first,)))
    except VersionChanged:
        path.unlink(missing_ok=True)
        return None


async def issue_operator_key(node: "Node", execute: Callable[[Command], Awaitable[Outcome]]) -> str:
    """Issue a new key and revoke the one before it. Written first: a crash in between leaves a key that is replaced."""
    key = secrets.make("opr", DEPLOYMENT, os.urandom(32))
    credential = CredentialId(id_from("key", node.clock(), os.urandom(10)))
    path = node.folder.operator_key
    former = path.read_text().strip() if path.exists() else None
    write_secret(path, key)
    try:
        await execute(RotateOperatorKey(OPERATOR, credential, secrets.digest(key)))
    except (Refused, VersionChanged, AuthorityChanged, QueueFull):
        if former is not None:
            write_secret(path, former)
        raise
    except Exception:  # whether the new key counts is not known: both are kept, and the next start sees which opens
        if former is not None:
            write_secret(path.with_name(path.name + ".before"), former)
        raise
    return key
