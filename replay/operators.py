"""Operators' keys, as decisions in a tenant's history depend on them: from the deployment's history, by time."""

from domain import agents
from domain.access.check import Decision, Subject, decide_access
from domain.event import Entry, Instant
from domain.ids import DEPLOYMENT, TenantId
from domain.ledger import History, Query
from replay.decided import in_the_deployment
from replay.standing import pages


class Operators:
    """Operators' keys, whose history is the deployment's: when each opened anything."""

    def __init__(self, history: History, tenant: TenantId) -> None:
        self._elsewhere = tenant != DEPLOYMENT
        self._issued: dict[str, Instant] = {}
        self._revoked: dict[str, Instant] = {}
        if not self._elsewhere:
            return
        types = (agents.OperatorKeyIssued.__name__, agents.OperatorKeyRevoked.__name__)
        for recorded in pages(history, DEPLOYMENT, Query(types=types)):
            match recorded.event:
                case agents.OperatorKeyIssued(credential=credential):
                    self._issued[credential] = recorded.instant
                case agents.OperatorKeyRevoked(credential=credential):
                    self._revoked[credential] = recorded.instant

    def is_one(self, entry: Entry) -> bool:
        return self._elsewhere and entry.meta.actor_kind == "operator"

    def judge(self, credential: str, permission: str, at: Instant, recorded: Instant) -> Decision:
        known = in_the_deployment(at, recorded)
        issued, revoked = self._issued.get(credential), self._revoked.get(credential)
        if issued is None or issued > known or (revoked is not None and revoked <= known):
            return Decision(False, "the operator's key opens nothing")
        return decide_access(Subject(frozenset(), operator=True), permission, at)
