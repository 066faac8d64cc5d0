"""Any HTTPS address: batches of CloudEvents, signed and with credentials; and what S3's signature is over."""

import hashlib
import hmac
import json
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from standardwebhooks import Webhook

from adapters.sinks.documents import Document
from adapters.sinks.targets import Sending, target_of
from adapters.webhooks.addresses import Resolver
from adapters.webhooks.courier import Courier
from domain.sinks.sending import ReplaySink
from domain.sinks.sinks import ChangeSink, PauseSink, RemoveSink, ResumeSink
from domain.webhooks.hooks import PauseWebhook
from tests.adapters.sinks.depot import running
from tests.adapters.sinks.stands import Answered, Asked, Stand, serving
from tests.adapters.webhooks.office import MOMCORP, ON_OFF, until
from tests.adapters.webhooks.receiver import receiving
from tests.domain.people import PLANET_EXPRESS

SIGNING = "whsec_" + "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U="


class Anything(Stand):
    """Takes what it is sent, in either form."""

    def answer(self, asked: Asked) -> Answered:
        if asked.headers["content-type"] == "application/x-ndjson":
            self.take([json.loads(each) for each in asked.body.splitlines()])
        else:
            self.take(json.loads(asked.body))
        return Answered(204)

    @property
    def positions(self) -> list[int]:
        return [each["position"] for each in self.taken]


async def test_batches_are_signed_and_named_so_that_what_comes_twice_is_known() -> None:
    stand = Anything()
    with serving(stand) as url:
        async with running() as depot:
            secrets = {"signing_secret": SIGNING, "authorization": "Bearer hush"}
            sink = await depot.sink("https", {"url": f"{url}/in", "most_events": 20}, secrets, *ON_OFF)
            await depot.do(PauseSink(sink))
            sent = await depot.switch(50)
            stand.answers.append(Answered(500))
            await depot.do(ResumeSink(sink))
            await depot.failed(sink, 1)
            depot.try_again(sink)
            await depot.reached(sink, sent[-1])
            assert stand.positions == sent
            assert stand.batches == [20, 20, 10]
            first, again = stand.asked[:2]
            assert first.headers["muniment-batch"] == again.headers["muniment-batch"] == f"{sink}.{sent[0]}-{sent[19]}"
            assert first.body == again.body
            for asked in stand.asked:
                assert asked.headers["content-type"] == "application/cloudevents-batch+json"
                assert asked.headers["authorization"] == "Bearer hush"
                Webhook(SIGNING).verify(asked.body, asked.headers)
            assert {each["specversion"] for each in stand.taken} == {"1.0"}


async def test_sinks_and_webhooks_go_side_by_side_and_are_not_told_of_each_others_bookkeeping() -> None:
    stand = Anything()
    with serving(stand) as url, receiving() as receiver:
        async with running() as depot:
            one = await depot.sink("https", {"url": url, "body": "ndjson"}, {})
            hook = await depot.hook(receiver.url)
            sent = await depot.switch(5)
            await depot.reached(one, sent[-1])
            await until(lambda: receiver.positions[-1:] == sent[-1:], "the webhook is told too")
            depot.go_on(3600)
            last = (await depot.do(PauseWebhook(hook))).position
            await depot.reached(one, last)
            assert "SinkAdvanced" not in {each["type"] for each in stand.taken}
            assert "WebhookAdvanced" not in {each["type"] for each in stand.taken}
            assert stand.positions == sorted(set(stand.positions))


async def test_a_sink_goes_on_after_a_restart_and_again_from_any_position() -> None:
    stand = Anything()
    with serving(stand) as url:
        async with running() as depot:
            sink = await depot.sink("https", {"url": url}, {}, *ON_OFF)
            sent = await depot.switch(3)
            await depot.reached(sink, sent[-1])
            await depot.restart()
            sent += await depot.switch(2)
            await depot.reached(sink, sent[-1])
            assert stand.positions == sent
            await depot.do(ReplaySink(sink, sent[1]))
            await until(lambda: len(stand.taken) == 9, "everything from there again")
            assert stand.positions == sent + sent[1:]


async def test_ocsf_is_sent_where_it_is_asked_for() -> None:
    stand = Anything()
    with serving(stand) as url:
        async with running() as depot:
            sink = await depot.sink("https", {"url": url}, {}, *ON_OFF, format="ocsf")
            sent = await depot.switch(2)
            await depot.reached(sink, sent[-1])
            assert [each["metadata"]["sequence"] for each in stand.taken] == sent
            assert {each["metadata"]["version"] for each in stand.taken} == {"1.5.0"}
            assert stand.asked[0].headers["content-type"] == "application/json"


async def test_each_tenant_has_its_own() -> None:
    mine, theirs = Anything(), Anything()
    with serving(mine) as here, serving(theirs) as there:
        async with running() as depot:
            await depot.found(MOMCORP)
            one = await depot.sink("https", {"url": here}, {}, *ON_OFF)
            other = await depot.sink("https", {"url": there}, {}, *ON_OFF, tenant=MOMCORP)
            sent, others = await depot.switch(4), await depot.switch(2, MOMCORP)
            await depot.reached(one, sent[-1])
            await depot.reached(other, others[-1], MOMCORP)
            assert {each["tenant"] for each in mine.taken} == {PLANET_EXPRESS}
            assert {each["tenant"] for each in theirs.taken} == {MOMCORP}
            await depot.do(RemoveSink(PLANET_EXPRESS, one))
            await until(lambda: depot.dispatcher.progress(PLANET_EXPRESS, one) is None, "it is gone")


async def test_a_sink_that_is_set_otherwise_sends_there_from_the_next_batch_on() -> None:
    before, after = Anything(), Anything()
    with serving(before) as old, serving(after) as new:
        async with running() as depot:
            sink = await depot.sink("https", {"url": old}, {"authorization": "Bearer old"}, *ON_OFF)
            first = await depot.switch(1)
            await depot.reached(sink, first[-1])
            row = depot.dispatcher._roster.get(PLANET_EXPRESS, sink)
            assert row is not None
            known: Any = row.known
            keys = depot.keys()
            settings = depot.world.keyring.seal(keys, PLANET_EXPRESS, sink, "settings", json.dumps({"url": new}))
            await depot.do(ChangeSink(sink, settings, known.secret, known.types, known.format, False, 60), keys=keys)
            then = await depot.switch(2)
            await depot.reached(sink, then[-1])
            assert (before.positions, after.positions) == (first, then)


def signature(asked: Asked, host: str, secret: str) -> str:
    """Signature Version 4 of what arrived, worked out here (docs.aws.amazon.com, "Signing AWS API requests")."""
    said = dict(each.split("=", 1) for each in asked.headers["authorization"].split(" ", 1)[1].split(", "))
    names = said["SignedHeaders"].split(";")
    headers = {**asked.headers, "host": host}
    canonical = "\n".join(
        (
            asked.method,
            quote(asked.path, safe="/-_.~"),
            "",
            *(f"{name}:{headers[name].strip()}" for name in names),
            "",
            said["SignedHeaders"],
            hashlib.sha256(asked.body).hexdigest(),
        )
    )
    scope = said["Credential"].split("/", 1)[1]
    text = "\n".join(("AWS4-HMAC-SHA256", headers["x-amz-date"], scope, hashlib.sha256(canonical.encode()).hexdigest()))
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    assert {"host", "if-none-match", "x-amz-content-sha256", "x-amz-date", "x-amz-meta-muniment-last"} <= set(names)
    assert said["Signature"] == hmac.digest(key, text.encode(), "sha256").hex()
    return said["Credential"]


async def test_what_reaches_s3_is_signed_as_it_arrives() -> None:
    class Bucket(Stand):
        def answer(self, asked: Asked) -> Answered:
            self.taken.append(asked)
            return Answered(200)

    stand = Bucket()
    with serving(stand) as url:
        async with running() as depot:
            settings = {
                "bucket": "planet",
                "region": "eu-west-1",
                "access_key_id": "AKIA",
                "endpoint": url,
                "seconds": 1,
                "prefix": "a/",
            }
            sink = await depot.sink("s3", settings, {"secret_access_key": "hush"}, *ON_OFF)
            sent = await depot.switch(2)
            depot.go_on(2)
            await depot.reached(sink, sent[-1])
            (asked,) = stand.taken
            credential = signature(asked, urlsplit(url).netloc, "hush")
            assert credential.startswith("AKIA/")
            assert credential.endswith("/eu-west-1/s3/aws4_request")
            assert asked.headers["x-amz-meta-muniment-last"] == str(sent[-1])


@pytest.mark.parametrize(
    ("url", "because"),
    [
        ("https://169.254.169.254/latest", "not on the public internet"),
        ("https://127.0.0.1/", "not on the public internet"),
        ("https://[::1]/", "not on the public internet"),
        ("http://example.com/", "must begin with https"),
    ],
)
async def test_nothing_is_sent_to_what_is_near_unless_a_node_allows_it(url: str, because: str) -> None:
    resolver = Resolver()
    courier = Courier(resolver)
    for kind, settings, secrets in (
        ("https", {"url": url}, {}),
        ("splunk", {"url": url}, {"token": "x"}),
        ("s3", {"bucket": "b", "region": "r", "access_key_id": "k", "endpoint": url}, {"secret_access_key": "x"}),
    ):
        target = target_of(kind, json.dumps(settings), json.dumps(secrets), Sending(courier, lambda: 0, "snk_x", 1))
        carried = await target.send([Document("ten_x", 1, 1, "id", "Type", {"type": "Type"})])
        assert because in carried.answer.reason
        await target.aclose()
    resolver.close()
