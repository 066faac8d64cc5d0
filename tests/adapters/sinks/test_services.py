"""What each service is sent, as it documents it, and what its answers come to."""

from typing import Any

import pytest

from adapters.webhooks.message import time_text
from domain.sinks.life import SinkDisabled
from domain.sinks.sending import RetrySinkLetter, SinkDeadLetterDelivered, SinkDeliveryFailed
from domain.sinks.sinks import PauseSink, ResumeSink
from tests.adapters.sinks.depot import running
from tests.adapters.sinks.stands import Answered, AzureStand, DatadogStand, SplunkStand, serving
from tests.adapters.webhooks.office import FLAG, ON_OFF, until
from tests.domain.people import PLANET_EXPRESS

TOKEN = {"token": "b0221cd8-c4b4-465a-9a3c-273e3a75aa29"}


def positions(taken: list[Any], *path: str) -> list[int]:
    found = []
    for each in taken:
        inner = each
        for name in path:
            inner = inner[name]
        found.append(inner["position"])
    return found


async def test_splunk_gets_events_in_order_by_the_batch() -> None:
    stand = SplunkStand(TOKEN["token"], ("main", "audit"))
    with serving(stand) as url:
        async with running() as depot:
            settings = {"url": url, "index": "audit", "host": "node-1"}
            sink = await depot.sink("splunk", settings, TOKEN, *ON_OFF)
            await depot.do(PauseSink(sink))
            sent = await depot.switch(1200)
            await depot.do(ResumeSink(sink))
            await depot.reached(sink, sent[-1])
            assert positions(stand.taken, "event") == sent
            assert stand.batches == [500, 500, 200]
            first = stand.taken[0]
            assert (first["index"], first["host"], first["sourcetype"]) == ("audit", "node-1", "muniment:event")
            assert first["fields"]["muniment_id"] == first["event"]["id"]
            assert first["event"]["data"]["data"] == {"flag": FLAG}
            assert first["event"]["data"]["actor"] == {"kind": "service", "id": "the_test"}
            assert time_text(round(first["time"] * 1_000_000))[:22] == first["event"]["time"][:22]
            assert len({each.headers["x-splunk-request-channel"] for each in stand.asked}) == 1


async def test_what_a_service_can_not_take_now_is_sent_again_later_and_nothing_is_passed_over() -> None:
    stand = SplunkStand(TOKEN["token"])
    with serving(stand) as url:
        async with running() as depot:
            sink = await depot.sink("splunk", {"url": url}, TOKEN, *ON_OFF, patience=0)
            stand.answers.extend([Answered(503, {"text": "Server is busy", "code": 9})] * 3)
            sent = await depot.switch(3)
            for times in (1, 2, 3):
                await depot.failed(sink, times)
                await depot.trouble(sink, "it is busy (code 9)")
                depot.try_again(sink)
            await depot.reached(sink, sent[-1])
            assert positions(stand.taken, "event") == sent
            assert not depot.told(SinkDeliveryFailed)


@pytest.mark.parametrize(
    ("settings", "secrets", "because"),
    [
        ({}, {"token": "another"}, "answered 403: it does not know the token (code 4)"),
        ({"index": "secret"}, TOKEN, "answered 400: the index is not one that the token may write (code 7)"),
    ],
)
async def test_what_is_set_wrong_is_said_and_loses_nothing(
    settings: dict[str, str], secrets: dict[str, str], because: str
) -> None:
    stand = SplunkStand(TOKEN["token"])
    with serving(stand) as url:
        async with running() as depot:
            sink = await depot.sink("splunk", {"url": url, **settings}, secrets, *ON_OFF, patience=0)
            await depot.switch(1)
            await depot.trouble(sink, because)
            depot.try_again(sink)
            await until(lambda: len(stand.asked) > 1, "another attempt")
            assert not depot.told(SinkDeliveryFailed)
            progress = depot.dispatcher.progress(PLANET_EXPRESS, sink)
            assert progress is not None
            assert (progress.behind, progress.oldest) != (0, None)


async def test_an_event_that_is_refused_is_found_among_others_and_dead_lettered_alone() -> None:
    stand = SplunkStand(TOKEN["token"])
    with serving(stand) as url:
        async with running() as depot:
            sink = await depot.sink("splunk", {"url": url}, TOKEN, patience=0)
            await depot.do(PauseSink(sink))
            sent = await depot.switch(40)
            stand.poison = "SinkResumed"
            await depot.do(ResumeSink(sink))
            (failed,) = await until(lambda: depot.told(SinkDeliveryFailed), "a dead letter")
            assert failed.failed_type == "SinkResumed"
            assert failed.reason == "the receiver answered 400: it takes the data for invalid (code 6)"
            await depot.reached(sink, failed.failed_position)
            last = await depot.switch(1)
            await depot.reached(sink, last[0])
            told = positions(stand.taken, "event")
            assert told == sorted(told)
            assert {*sent, *last} <= set(told)
            assert failed.failed_position not in told
            stand.poison = None
            await depot.do(RetrySinkLetter(sink, failed.failed_position))
            await until(lambda: depot.told(SinkDeadLetterDelivered), "it is delivered after all")
            assert failed.failed_position in positions(stand.taken, "event")


async def test_datadog_gets_arrays_of_entries() -> None:
    stand = DatadogStand("0123456789abcdef")
    with serving(stand) as url:
        async with running() as depot:
            settings = {"url": url, "service": "identity", "tags": ["env:test"]}
            sink = await depot.sink("datadog", settings, {"api_key": "0123456789abcdef"}, *ON_OFF)
            sent = await depot.switch(7)
            await depot.reached(sink, sent[-1])
            assert positions(stand.taken, "muniment") == sent
            entry = stand.taken[0]
            assert (entry["ddsource"], entry["service"]) == ("muniment", "identity")
            assert entry["ddtags"] == f"tenant:{PLANET_EXPRESS},type:FlagSwitchedOff,env:test"
            assert entry["date"] == entry["muniment"]["time"]


async def test_azure_gets_rows_under_a_token_that_is_asked_for_again_when_it_is_over() -> None:
    stand = AzureStand("the-client", "the-secret")
    settings = {
        "rule": AzureStand.RULE,
        "stream": AzureStand.STREAM,
        "directory": AzureStand.DIRECTORY,
        "client_id": "the-client",
    }
    with serving(stand) as url:
        async with running() as depot:
            places = {"endpoint": url, "authority": url}
            sink = await depot.sink("azure", {**settings, **places}, {"client_secret": "the-secret"}, *ON_OFF)
            sent = await depot.switch(3)
            await depot.reached(sink, sent[-1])
            assert len(stand.tokens) == 1, "a token is used as long as it lasts"
            stand.revoked.add(stand.tokens[0])
            sent += await depot.switch(1)
            await depot.trouble(sink, "401")
            depot.try_again(sink)
            await depot.reached(sink, sent[-1])
            depot.go_on(3600)
            sent += await depot.switch(1)
            await depot.reached(sink, sent[-1])
            assert len(stand.tokens) == 3
            assert [each["Position"] for each in stand.taken] == sent
            row = stand.taken[0]
            assert (row["Type"], row["ActorKind"], row["ActorId"]) == ("FlagSwitchedOff", "service", "the_test")
            assert row["Event"]["position"] == row["Position"]


async def test_a_token_that_is_not_given_is_a_failure_that_says_so_and_shows_nothing() -> None:
    stand = AzureStand("the-client", "the-secret")
    settings = {"rule": AzureStand.RULE, "stream": AzureStand.STREAM, "directory": AzureStand.DIRECTORY}
    with serving(stand) as url:
        async with running() as depot:
            places = {"endpoint": url, "authority": url, "client_id": "the-client"}
            sink = await depot.sink("azure", {**settings, **places}, {"client_secret": "wrong"}, *ON_OFF)
            await depot.switch(1)
            await depot.trouble(sink, "no token was given: the receiver answered 401")
            attempts = await depot.attempts(sink)
            assert "AADSTS" not in str(attempts)
            assert "wrong" not in str(attempts)


async def test_a_sink_that_nothing_gets_through_to_for_days_is_disabled_and_resumed_where_it_was() -> None:
    stand = DatadogStand("key")
    with serving(stand) as url:
        async with running() as depot:
            sink = await depot.sink("datadog", {"url": url}, {"api_key": "key"}, *ON_OFF)
            stand.answers.append(Answered(500))
            sent = await depot.switch(2)
            await depot.trouble(sink, "500")
            stand.answers.append(Answered(500))
            depot.go_on(6 * 86_400)
            await until(lambda: depot.told(SinkDisabled), "it is disabled")
            await depot.do(ResumeSink(sink))
            await depot.reached(sink, sent[-1])
            assert positions(stand.taken, "muniment") == sent
