"""A filter (RFC 7644 §3.4.2.2): its tree, and the parser that resolves its attributes in a schema."""

import json
import re
from enum import StrEnum
from typing import TypeAlias

import msgspec

from adapters.scim.errors import ScimError, invalid_filter
from adapters.scim.leniency import Leniency, Tolerance
from adapters.scim.scanner import Scanner, Token, is_clean
from adapters.scim.schema import TEXTUAL, Attribute, AttributePath, Comparable, Kind, ResourceType

MAX_DEPTH = 32


class Operator(StrEnum):
    EQ = "eq"
    NE = "ne"
    CO = "co"
    SW = "sw"
    EW = "ew"
    GT = "gt"
    GE = "ge"
    LT = "lt"
    LE = "le"


Literal: TypeAlias = str | bool | int | float | None


class Compare(msgspec.Struct, frozen=True):
    """A comparison. `value` is as it was sent, `against` in the form that is compared; both None for `null`."""

    path: AttributePath
    operator: Operator
    value: Literal
    against: Comparable | None


class Present(msgspec.Struct, frozen=True):
    path: AttributePath


class Where(msgspec.Struct, frozen=True):
    """True if one value of the attribute satisfies `inner`, whose paths begin at that value."""

    path: AttributePath
    inner: "Filter"


class Not(msgspec.Struct, frozen=True):
    inner: "Filter"


class And(msgspec.Struct, frozen=True):
    terms: "tuple[Filter, ...]"


class Or(msgspec.Struct, frozen=True):
    terms: "tuple[Filter, ...]"


class Never(msgspec.Struct, frozen=True):
    """A test of an attribute that this resource type does not have: it has no value (RFC 7644 §3.4.2.1)."""


Filter: TypeAlias = Compare | Present | Where | Not | And | Or | Never

_ATTRIBUTE_PATH = re.compile(r"(?:[A-Za-z]\S*:)?\$?[A-Za-z][\w-]*(?:\.\$?[A-Za-z][\w-]*)?", re.A)
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,30})(?:\.[0-9]{1,30})?(?:[eE][+-]?[0-9]{1,3})?")
_ORDERING = frozenset({Operator.GT, Operator.GE, Operator.LT, Operator.LE})
_PARTIAL = frozenset({Operator.CO, Operator.SW, Operator.EW})


def parse(text: str, resource_type: ResourceType, tolerance: Tolerance | None = None) -> Filter:
    """Raises ScimError `invalidFilter`; an attribute the resource type does not have is no error, but never matches."""
    scanner = Scanner(text, _refuse)
    parsed = _Parser(scanner, resource_type, tolerance or Tolerance()).disjunction(0)
    scanner.finish()
    return parsed


def parse_selection(scanner: Scanner, attribute: Attribute, tolerance: Tolerance, depth: int = 0) -> Filter:
    """The filter between the brackets of a value path, up to its `]`; its names are the sub-attributes."""
    inner = _Parser(scanner, attribute, tolerance).disjunction(depth)
    scanner.take_mark("]")
    return inner


class _Parser:
    """Recursive descent over `or`, then `and`, then `not`, brackets and tests."""

    def __init__(self, scanner: Scanner, scope: ResourceType | Attribute, tolerance: Tolerance) -> None:
        self._scanner = scanner
        self._scope = scope
        self._tolerance = tolerance

    def disjunction(self, depth: int) -> Filter:
        if depth > MAX_DEPTH:
            raise _refuse(f"is nested more than {MAX_DEPTH} deep")
        terms = [self._conjunction(depth)]
        while self._scanner.peek().is_word("or"):
            self._scanner.take()
            terms.append(self._conjunction(depth))
        return terms[0] if len(terms) == 1 else Or(tuple(terms))

    def _conjunction(self, depth: int) -> Filter:
        terms = [self._term(depth)]
        while self._scanner.peek().is_word("and"):
            self._scanner.take()
            terms.append(self._term(depth))
        return terms[0] if len(terms) == 1 else And(tuple(terms))

    def _term(self, depth: int) -> Filter:
        if self._scanner.peek().is_word("not") and self._scanner.peek(1).is_mark("("):
            self._scanner.take()
            return Not(self._group(depth))
        if self._scanner.peek().is_mark("("):
            return self._group(depth)
        name = self._scanner.take_word("an attribute")
        if not _ATTRIBUTE_PATH.fullmatch(name):
            raise _refuse("has something other than an attribute name where one belongs")
        path = self._resolve(name)
        if self._scanner.peek().is_mark("["):
            return self._value_path(path, depth)
        return self._test(path)

    def _group(self, depth: int) -> Filter:
        self._scanner.take_mark("(")
        inner = self.disjunction(depth + 1)
        self._scanner.take_mark(")")
        return inner

    def _value_path(self, path: AttributePath | None, depth: int) -> Filter:
        """`emails[type eq "work"]`, and `emails[type eq "work"].value eq "x"`, which is one value satisfying both."""
        self._scanner.take_mark("[")
        if isinstance(self._scope, Attribute) or (path and path.sub):
            raise _refuse("selects values inside a value; brackets only follow an attribute")
        attribute = path.attribute if path and path.attribute else Attribute(name="", kind=Kind.COMPLEX)
        if attribute.kind is not Kind.COMPLEX:
            raise _refuse("has brackets after an attribute without sub-attributes")
        inner = parse_selection(self._scanner, attribute, self._tolerance, depth + 1)
        following = self._scanner.peek()
        if following.kind == "word" and following.text.startswith("."):
            self._scanner.take()
            sub = attribute.subs.get(following.text[1:].lower())
            test = self._test(AttributePath(None, sub) if sub else None)
            inner = And((*inner.terms, test)) if isinstance(inner, And) else And((inner, test))
        return Where(path, inner) if path else Never()

    def _resolve(self, name: str) -> AttributePath | None:
        if isinstance(self._scope, ResourceType):
            path = self._scope.resolve(name)
        else:
            sub = self._scope.subs.get(name.lower())
            path = AttributePath(None, sub) if sub else None
        if path is None or path.leaf is None or path.leaf.is_forgotten:
            return None
        return path

    def _test(self, path: AttributePath | None) -> Filter:
        word = self._scanner.take_word("an operator").lower()
        if word == "pr":
            return Present(path) if path else Never()
        if word not in Operator.__members__.values():
            raise _refuse("has an unknown operator; use eq, ne, co, sw, ew, gt, ge, lt, le or pr")
        token = self._scanner.take()
        if token.kind not in {"string", "word"}:
            self._scanner.refuse(token, "a value")
        if path is None:
            return Never()
        return self._comparison(path, Operator(word), token)

    def _comparison(self, path: AttributePath, operator: Operator, token: Token) -> Filter:
        leaf = path.leaf
        compared = leaf.compared if leaf else None
        if leaf is None or compared is None:
            raise _refuse("compares a complex attribute; name one of its sub-attributes")
        if compared is not leaf:
            path = AttributePath(path.extension, leaf, compared)
        _check_operator(operator, compared)
        value = self._literal(token, compared)
        if value is None:
            if operator not in {Operator.EQ, Operator.NE}:
                raise _refuse("compares null with an operator other than eq and ne")
            return Compare(path, operator, None, None)
        against = compared.comparable(value)
        if against is None:
            raise _refuse(f"compares with a value that is no {compared.kind}")
        return Compare(path, operator, value, against)

    def _literal(self, token: Token, attribute: Attribute) -> Literal:
        if token.kind == "string":
            return self._string(token, attribute)
        word = token.text.lower()
        if word == "null":
            return None
        if attribute.kind in TEXTUAL or attribute.kind is Kind.DATE_TIME:
            self._tolerance.need(Leniency.UNQUOTED_LITERAL, _refuse("has text without quotes"))
            return token.text
        if attribute.kind is Kind.BOOLEAN and word in {"true", "false"}:
            return word == "true"
        if attribute.kind in {Kind.INTEGER, Kind.DECIMAL} and _NUMBER.fullmatch(word):
            return float(word) if set(".e") & set(word) else int(word)
        raise _refuse(f"compares with a value that is no {attribute.kind}")

    def _string(self, token: Token, attribute: Attribute) -> Literal:
        try:
            value = json.loads(token.text)
        except ValueError:
            raise _refuse("has a string that is not a JSON string") from None
        if not isinstance(value, str) or not is_clean(value):
            raise _refuse("holds a NUL or a lone surrogate")
        if attribute.kind is Kind.BOOLEAN and value.lower() in {"true", "false"}:
            self._tolerance.need(Leniency.STRING_BOOLEAN, _refuse("has a boolean in quotes"))
            return value.lower() == "true"
        return value


def _check_operator(operator: Operator, attribute: Attribute) -> None:
    # RFC 7644 §3.4.2.2: order is undefined for booleans and binaries; parts exist only of text.
    ordered = attribute.kind not in {Kind.BOOLEAN, Kind.BINARY}
    textual = attribute.kind in TEXTUAL
    if (operator in _ORDERING and not ordered) or (operator in _PARTIAL and not textual):
        raise _refuse(f"uses {operator} on a {attribute.kind}, for which it is not defined")


def _refuse(detail: str) -> ScimError:
    return invalid_filter(f"the filter {detail}")
