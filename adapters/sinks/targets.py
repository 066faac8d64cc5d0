"""Every kind of target: what it is set to, what of it is secret, and how it is made."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec

from adapters.sinks import azure, datadog, gcs, https, s3, splunk, syslog
from adapters.sinks.documents import CLOUDEVENTS
from adapters.sinks.target import Target
from adapters.webhooks.courier import Courier


class Sending(NamedTuple):
    """What a target is made with."""

    courier: Courier
    clock: Callable[[], int]
    sink: str
    turn: int
    """Where the sink was told to begin: what is replayed is told from what was sent before."""
    format: str = CLOUDEVENTS


class Said(NamedTuple):
    """The types of a target's settings and secrets."""

    settings: type[msgspec.Struct]
    secrets: type[msgspec.Struct]


SAID: Final = {
    "splunk": Said(splunk.Settings, splunk.Secrets),
    "datadog": Said(datadog.Settings, datadog.Secrets),
    "s3": Said(s3.Settings, s3.Secrets),
    "gcs": Said(gcs.Settings, gcs.Secrets),
    "azure": Said(azure.Settings, azure.Secrets),
    "https": Said(https.Settings, https.Secrets),
    "syslog": Said(syslog.Settings, syslog.Secrets),
}


def target_of(kind: str, settings: str, secrets: str, sending: Sending) -> Target:
    """Raises ValueError (also msgspec's) for what no such target can be set to."""
    said = SAID[kind]
    return _made(
        msgspec.json.decode(settings, type=said.settings), msgspec.json.decode(secrets, type=said.secrets), sending
    )


def _made(settings: Any, secrets: Any, sending: Sending) -> Target:
    courier, clock, sink, turn, format = sending
    match settings:
        case splunk.Settings():
            return splunk.Splunk(courier, sink, settings, secrets)
        case datadog.Settings():
            return datadog.Datadog(courier, settings, secrets)
        case s3.Settings():
            return s3.S3(courier, sink, turn, settings, secrets)
        case gcs.Settings():
            return gcs.Gcs(courier, sink, turn, settings, secrets, clock)
        case azure.Settings():
            return azure.Azure(courier, settings, secrets, clock)
        case https.Settings():
            return https.Https(courier, sink, settings, secrets, clock, format)
        case syslog.Settings():
            return syslog.Syslog(courier.resolve, courier.private, courier.trust, settings, secrets)
    raise ValueError("there is no such target")


def objection(kind: str, settings: str, secrets: str | None, courier: Courier) -> str | None:
    """Why a target can't be set so; None if it can. Where its host leads is only looked at when it is used.

    `secrets` None: those that it has.
    """
    decoded = msgspec.json.decode(settings, type=SAID[kind].settings)
    for name in ("url", "endpoint", "authority", "token_url"):
        url = getattr(decoded, name, None)
        if url is not None and (because := courier.objection(url)):
            return f"settings/{name}: {because}"
    if secrets is None:
        return None
    try:
        target_of(kind, settings, secrets, Sending(courier, lambda: 0, "snk_none", 0))
    except ValueError as problem:
        return f"secrets: {problem}" if type(problem) is ValueError else "secrets: these can't be used"
    except Exception:
        return "secrets: the certificate or key can't be used; send PEM"
    return None
