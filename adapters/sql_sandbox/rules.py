"""What a query may be: one SELECT over the tenant's views, its own subqueries and harmless functions.

Read from DuckDB's own parse tree, and closed: what is not known to be harmless is refused. This is the first of several
walls; the connection has no file system and no settings to change, and the process no way out.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

import duckdb

from adapters.sql_sandbox.functions import FUNCTIONS, TABLE_FUNCTIONS

UNSEAL: Final = "unseal"
_SELECTS: Final = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
_SOURCES: Final = frozenset(
    {"BASE_TABLE", "SUBQUERY", "JOIN", "TABLE_FUNCTION", "EMPTY", "EXPRESSION_LIST", "PIVOT", "COLUMN_DATA"}
)
_PARTS: Final = frozenset(
    {
        "ORDER_MODIFIER",
        "LIMIT_MODIFIER",
        "LIMIT_PERCENT_MODIFIER",
        "DISTINCT_MODIFIER",
        "ASCENDING",
        "DESCENDING",
        "ORDER_DEFAULT",
    }
)
_EXPRESSIONS: Final = frozenset(
    {
        "BETWEEN",
        "CASE",
        "CAST",
        "COLLATE",
        "COLUMN_REF",
        "COMPARISON",
        "CONJUNCTION",
        "CONSTANT",
        "FUNCTION",
        "LAMBDA",
        "LAMBDA_REF",
        "OPERATOR",
        "POSITIONAL_REFERENCE",
        "STAR",
        "SUBQUERY",
        "TYPE",
        "WINDOW",
    }
)
NOT_ONE: Final = "send one SELECT statement and nothing else"


class NotAllowed(Exception):
    """The query is more than a question about the tenant's views; the message says what to leave out."""


def must_be_allowed(connection: duckdb.DuckDBPyConnection, sql: str, views: frozenset[str], *, unseals: bool) -> None:
    """Raises NotAllowed, or duckdb.Error for what is no SQL."""
    statements = connection.extract_statements(sql)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise NotAllowed(NOT_ONE)
    row = connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()
    tree: dict[str, Any] = json.loads(row[0]) if row else {"error": True}
    if tree["error"] or len(tree["statements"]) != 1:
        raise NotAllowed(NOT_ONE)
    statement = tree["statements"][0]
    taken = {name for (name,) in connection.execute("SELECT view_name FROM duckdb_views() WHERE internal").fetchall()}
    named = {entry["key"].lower() for each in _every(statement) for entry in _named(each)}
    if named & taken:
        raise NotAllowed("a subquery has the name of a system view: give it another")
    outputs = {id(each) for each in _outputs(statement["node"])}
    for each in _every(statement):
        _must_be_known(each)
        _must_be_visible(each, views | named)
        _must_be_harmless(each, unseals=unseals, is_output=id(each) in outputs)


def _every(tree: Any) -> Iterator[dict[str, Any]]:
    """Every object of a parse tree."""
    waiting = [tree]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            yield each
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)


def _named(node: dict[str, Any]) -> list[dict[str, Any]]:
    """The subqueries that a WITH names."""
    found = node.get("cte_map")
    return list(found["map"]) if isinstance(found, dict) else []


def _outputs(node: Any) -> Iterator[dict[str, Any]]:
    """The output columns of the whole query."""
    if node["type"] == "SELECT_NODE":
        yield from node["select_list"]
    elif node["type"] == "SET_OPERATION_NODE":
        for child in node.get("children") or filter(None, (node.get("left"), node.get("right"))):
            yield from _outputs(child)


def _must_be_known(each: dict[str, Any]) -> None:
    if "class" in each:
        if each["class"] not in _EXPRESSIONS:
            raise NotAllowed("the query holds a parameter, or an expression that is not allowed here")
    elif isinstance(kind := each.get("type"), str) and not (
        kind in _SELECTS or kind in _SOURCES or kind in _PARTS or kind.endswith("_TYPE_INFO")
    ):
        raise NotAllowed("the query is more than a SELECT: DESCRIBE, SHOW, INSERT and their like are not allowed")


def _must_be_visible(each: dict[str, Any], names: frozenset[str]) -> None:
    if "class" in each or each.get("type") != "BASE_TABLE":
        return
    path = each["qualified_name"]["path"]
    if each["schema_name"] or each["catalog_name"] or each["at_clause"] is not None or len(path) != 1:
        raise NotAllowed("name views without a schema: events, users, groups …")
    if each["table_name"].lower() not in names:
        raise NotAllowed(f"there are only these views: {', '.join(sorted(names))}")


def _must_be_harmless(each: dict[str, Any], *, unseals: bool, is_output: bool) -> None:
    if "function_name" not in each:
        return
    name = each["function_name"].lower()
    if each.get("schema") or each.get("catalog") or len(each["qualified_name"]["path"]) != 1:
        raise NotAllowed("call functions without a schema")
    if name == UNSEAL:
        if not unseals:
            raise NotAllowed("unseal() is for callers with the permission people:unseal")
        if not is_output:
            raise NotAllowed(
                "unseal() may only stand as an output column of the whole query: values are opened after it has run"
            )
    elif name not in FUNCTIONS and name not in TABLE_FUNCTIONS:
        raise NotAllowed("the query calls a function that does not exist here")
