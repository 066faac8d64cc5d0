"""Objects in storage: each event is in just one of them, whatever fails and whoever sends."""

import contextlib
import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.sinks.objects import LAST
from adapters.webhooks.message import time_text
from domain.ids import SinkId
from domain.sinks.sending import ReplaySink
from domain.sinks.sinks import PauseSink, ResumeSink
from tests.adapters.sinks.depot import Depot, running
from tests.adapters.sinks.storages import gcs, lines, s3
from tests.adapters.webhooks.office import ON_OFF

Objects = dict[str, tuple[bytes, str]]
Storage = tuple[str, dict[str, Any], dict[str, str], Callable[[], Objects]]


@contextlib.contextmanager
def in_s3() -> Iterator[Storage]:
    with s3() as (settings, secrets, client):

        def objects() -> Objects:
            found = {}
            for each in client.list_objects_v2(Bucket=settings["bucket"]).get("Contents", []):
                got = client.get_object(Bucket=settings["bucket"], Key=each["Key"])
                found[each["Key"]] = (got["Body"].read(), got["Metadata"][LAST])
            return found

        yield "s3", settings, secrets, objects


@contextlib.contextmanager
def in_gcs() -> Iterator[Storage]:
    with gcs() as (settings, secrets, client):

        def objects() -> Objects:
            found = {}
            listed = client.get(f"/storage/v1/b/{settings['bucket']}/o", params={"prefix": ""}).json()
            for each in listed.get("items", []):
                name = each["name"].replace("/", "%2F")
                headers = {"Accept-Encoding": "gzip"}
                with client.stream(
                    "GET", f"/storage/v1/b/{settings['bucket']}/o/{name}", params={"alt": "media"}, headers=headers
                ) as got:
                    found[each["name"]] = (b"".join(got.iter_raw()), each["metadata"][LAST])
            return found

        yield "gcs", settings, secrets, objects


@pytest.fixture(params=[in_s3, in_gcs], ids=["s3", "gcs"])
def storage(request: pytest.FixtureRequest) -> Iterator[Storage]:
    with request.param() as opened:
        yield opened


def read(objects: Objects) -> list[int]:
    """The positions in all objects, in the order of their names."""
    found = []
    for name in sorted(objects):
        body = objects[name][0]
        found += [each["position"] for each in lines(gzip.decompress(body) if name.endswith(".gz") else body)]
    return found


async def made(depot: Depot, storage: Storage, **settings: Any) -> SinkId:
    kind, said, secrets, _ = storage
    return await depot.sink(kind, {**said, "seconds": 60, "most_events": 10, **settings}, secrets, *ON_OFF)


async def test_full_objects_are_written_at_once_and_the_rest_when_it_has_waited(storage: Storage) -> None:
    objects = storage[3]
    async with running() as depot:
        sink = await made(depot, storage, prefix="audit/acme/")
        sent = await depot.switch(25)
        await depot.reached(sink, sent[19])
        assert read(objects()) == sent[:20]
        assert depot.place(sink) == sent[19]
        depot.go_on(61)
        await depot.reached(sink, sent[-1])
        found = objects()
        assert read(found) == sent
        assert len(found) == 3
        for name, (_, last) in found.items():
            assert name.startswith(f"audit/acme/{sink}/")
            assert int(last) in sent
        assert [int(found[name][1]) for name in sorted(found)] == [sent[9], sent[19], sent[24]]


async def test_an_object_that_was_written_and_not_heard_of_is_not_written_again(storage: Storage) -> None:
    """The node forgets all it knew, and the ledger does not know of the last objects."""
    objects = storage[3]
    async with running() as depot:
        sink = await made(depot, storage)
        sent = await depot.switch(20)
        await depot.reached(sink, sent[-1])
        before = objects()
        await depot.dispatcher._book.forget(depot.history.tenants()[0], sink)
        depot.dispatcher._roster.get(depot.history.tenants()[0], sink).unsaid = False  # type: ignore[union-attr]
        depot.mine = set()
        depot.dispatcher.ownership_changed()
        more = await depot.switch(13)
        depot.mine = None
        depot.dispatcher.ownership_changed()
        await depot.reached(sink, more[9])
        depot.go_on(61)
        await depot.reached(sink, more[-1])
        after = objects()
        assert {name: after[name] for name in before} == before
        assert read(after) == sent + more


async def test_two_nodes_that_both_send_write_each_event_once(storage: Storage, tmp_path: Path) -> None:
    """One of them has been cut off and does not know: the worst that can happen."""
    objects = storage[3]
    async with running(tmp_path / "one.db") as depot:
        sink = await made(depot, storage)
        sent = await depot.switch(10)
        await depot.reached(sink, sent[-1])
        first = depot.dispatcher
        depot._book = tmp_path / "two.db"
        depot.begin()
        listener = depot.world.sequencer.listeners[0]
        depot.world.sequencer.listeners[:] = [listener, lambda it: first.committed(it.recorded, it.heads)]
        sent += await depot.switch(47)
        depot.go_on(61)
        first.look()
        await depot.reached(sink, sent[-1])
        second, depot.dispatcher = depot.dispatcher, first
        await depot.reached(sink, sent[-1])
        depot.dispatcher = second
        await first.stop()
        assert read(objects()) == sent


async def test_a_replay_is_written_beside_what_was_there(storage: Storage) -> None:
    objects = storage[3]
    async with running() as depot:
        sink = await made(depot, storage, gzip=False, seconds=1)
        sent = await depot.switch(4)
        depot.go_on(2)
        await depot.reached(sink, sent[-1])
        before = objects()
        await depot.do(ReplaySink(sink, sent[0]))
        depot.go_on(2)
        await depot.reached(sink, sent[-1])
        after = objects()
        assert before.items() <= after.items()
        assert read(after) == sent * 2


async def test_a_pause_holds_what_waits_and_no_more(storage: Storage) -> None:
    objects = storage[3]
    async with running() as depot:
        sink = await made(depot, storage)
        await depot.do(PauseSink(sink))
        sent = await depot.switch(12)
        await depot.do(ResumeSink(sink))
        await depot.reached(sink, sent[9])
        assert read(objects()) == sent[:10]


async def test_what_a_storage_refuses_is_said_without_secrets(storage: Storage) -> None:
    async with running() as depot:
        sink = await made(depot, storage, bucket="somebody-elses")
        await depot.switch(10)
        await depot.trouble(sink, "404")
        assert "secret" not in str(await depot.attempts(sink))


async def test_an_object_that_somebody_else_made_is_not_taken_for_its_own() -> None:
    """Nor does what it says of itself move the sink beyond what has happened."""
    with s3() as (settings, secrets, client):
        async with running() as depot:
            said = {**settings, "seconds": 1, "gzip": False}
            one = await depot.sink("s3", said, secrets, *ON_OFF)
            sent = await depot.switch(1)
            day = time_text(depot.world.now)[:10].replace("-", "/")
            turn = sent[0] - 1  # it was made by the event before
            name = f"{one}/{turn:020d}/{day}/{sent[0]:020d}.ndjson"
            client.put_object(Bucket=settings["bucket"], Key=name, Body=b"", Metadata={LAST: "0"})
            depot.go_on(2)
            await depot.trouble(one, "not of this sink")
            client.put_object(Bucket=settings["bucket"], Key=name, Body=b"", Metadata={LAST: str(2**40)})
            depot.try_again(one)
            await depot.reached(one, sent[0])
            more = await depot.switch(1)
            assert depot.place(one) < more[0]
