"""The operator's key: made at the first start, kept in a file for its owner alone, replaced on demand."""

import os
from typing import TYPE_CHECKING

from api.data_folder import write_secret
from domain.access import secrets
from domain.agents import RotateOperatorKey
from domain.ids import DEPLOYMENT, CredentialId, OperatorId, id_from
from domain.ledger import Actor, Authority, Caller

if TYPE_CHECKING:
    from api.wiring import Node

OPERATOR = OperatorId("opr_first")
"""The operator that every deployment begins with."""


def system(node: "Node", why: str) -> Caller:
    """The node itself, acting in the deployment's history."""
    authority = Authority("operators:manage", id_from("dec", node.clock(), os.urandom(10)), ("system",))
    return Caller(DEPLOYMENT, Actor("system", why), authority, id_from("cor", node.clock(), os.urandom(10)))


async def ensure_operator_key(node: "Node") -> str:
    """The key in the folder, if it opens; else a new one, which makes any other worthless."""
    path = node.folder.operator_key
    if path.exists():
        kept = path.read_text().strip()
        secret = secrets.read(kept)
        head = node.feed.head(DEPLOYMENT)
        if secret is not None and node.residents.tenant(DEPLOYMENT, head).credential(secret.digest) is not None:
            return kept
    return await replace_operator_key(node, system(node, "start"))


async def replace_operator_key(node: "Node", by: Caller) -> str:
    """Issue a new key and revoke the one before it. Written first: a crash in between leaves a key that is replaced."""
    key = secrets.make("opr", DEPLOYMENT, os.urandom(32))
    credential = CredentialId(id_from("key", node.clock(), os.urandom(10)))
    write_secret(node.folder.operator_key, key)
    await node.ledger.execute(RotateOperatorKey(OPERATOR, credential, secrets.digest(key)), by)
    return key
