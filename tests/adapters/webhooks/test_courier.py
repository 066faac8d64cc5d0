"""The courier goes where it may, to the very address that was checked, and brings back nothing of the receiver's."""

import ipaddress
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from adapters.webhooks.addresses import Resolver
from adapters.webhooks.courier import MOST_READ, Answer, Courier, Line
from tests.adapters.webhooks.receiver import Receiver, receiving

NOT_PUBLIC = "the host is not on the public internet"


class Names:
    """A name server: each question is answered by the next of the lists of addresses, the last of them for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


@asynccontextmanager
async def line(courier: Courier) -> AsyncIterator[Line]:
    opened = courier.line()
    try:
        yield opened
    finally:
        await opened.aclose()


async def send(courier: Courier, url: str) -> Answer:
    async with line(courier) as opened:
        return await opened.send(url, {"webhook-id": "one"}, b"{}")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


async def test_it_says_what_was_answered_and_nothing_of_the_body(receiver: Receiver) -> None:
    receiver.body = b"secret words of the receiver"
    for status in (200, 201, 299, 400, 404, 500, 599):
        receiver.answers.append(status)
        answer = await send(Courier(Names(["127.0.0.1"]), private=True), receiver.url)
        assert (answer.status, answer.delivered) == (status, 200 <= status < 300)
        assert "secret" not in answer.reason


async def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.answers.append((307, {"Location": receiver.url}))
    answer = await send(Courier(Names(["127.0.0.1"]), private=True), receiver.url)
    assert answer == Answer(307, "the receiver answered 307; redirects are not followed")
    assert len(receiver.sent) == 1


async def test_the_environments_proxies_are_not_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert (await send(Courier(Names(["127.0.0.1"]), private=True), receiver.url)).delivered


async def test_of_a_long_answer_only_so_much_is_read(receiver: Receiver) -> None:
    receiver.body, receiver.otherwise = bytes(64 * MOST_READ), 200
    assert (await send(Courier(Names(["127.0.0.1"]), private=True), receiver.url)).delivered


async def test_who_does_not_answer_is_not_waited_for(receiver: Receiver) -> None:
    receiver.held.clear()
    courier = Courier(Names(["127.0.0.1"]), private=True, patience=0.3)
    assert await send(courier, receiver.url) == Answer(None, "there was no answer within 0 seconds")


async def test_who_asks_for_time_is_heard() -> None:
    with receiving() as receiver:
        waits: list[float | None] = []
        for said in ("120", "999999999999", "-1", "Wed, 21 Oct 2026 07:28:00 GMT", "7200"):
            receiver.answers.append((503, {"Retry-After": said}))
            waits.append((await send(Courier(Names(["127.0.0.1"]), private=True), receiver.url)).retry_after)
        assert waits == [120, None, None, None, 3600]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "fd00:ec2::254", "fe80::1%eth0", "64:ff9b::7f00:1", "2002:7f00:1::",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2", "168.63.129.16", "224.0.0.1", "255.255.255.255", "192.0.0.8",
        "::127.0.0.1", "not an address",
    ],
)  # fmt: skip
async def test_it_goes_nowhere_near_us(receiver: Receiver, address: str) -> None:
    names = Names([address])
    assert await send(Courier(names), f"https://receiver.test:{receiver.port}/") == Answer(None, NOT_PUBLIC)
    assert names.asked == ["receiver.test"]
    assert receiver.sent == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]"])
async def test_nor_by_another_spelling(receiver: Receiver, host: str) -> None:
    resolver = Resolver()
    try:
        answer = await send(Courier(resolver), f"https://{host}:{receiver.port}/")
    finally:
        resolver.close()
    assert answer == Answer(None, NOT_PUBLIC)
    assert receiver.sent == []


async def test_a_name_with_one_near_address_among_others_is_refused() -> None:
    assert await send(Courier(Names(["8.8.8.8", "127.0.0.1"])), "https://receiver.test/") == Answer(None, NOT_PUBLIC)


async def test_a_name_that_changes_after_it_was_checked_changes_nothing(receiver: Receiver) -> None:
    """Rebinding: the second look-up would lead elsewhere, so there is no second look-up within an attempt."""
    names = Names(["127.0.0.1"], ["127.0.0.99"])
    courier = Courier(names, private=True)
    assert (await send(courier, f"http://receiver.test:{receiver.port}/hooks?a=b")).delivered
    assert names.asked == ["receiver.test"]
    assert receiver.sent[0].headers["Host"] == f"receiver.test:{receiver.port}"
    assert receiver.sent[0].path == "/hooks?a=b"
    assert not (await send(courier, f"http://receiver.test:{receiver.port}/")).delivered
    assert len(receiver.sent) == 1


async def test_each_attempt_checks_the_name_again(receiver: Receiver) -> None:
    """A host that was public yesterday leads to our own network today."""
    names = Names(["203.0.113.1"], ["127.0.0.1"])
    courier = Courier(names)
    async with line(courier) as opened:
        for _ in range(2):
            answer = await opened.send(f"https://receiver.test:{receiver.port}/", {}, b"{}")
            assert answer == Answer(None, NOT_PUBLIC)
    assert len(names.asked) == 2
    assert receiver.sent == []


async def test_the_next_address_is_tried_where_the_first_does_not_answer(receiver: Receiver) -> None:
    names = Names(["127.0.0.99", "127.0.0.98", "127.0.0.1"])
    assert (await send(Courier(names, private=True), f"http://receiver.test:{receiver.port}/")).delivered
    many = Names(["127.0.0.99", "127.0.0.98", "127.0.0.97", "127.0.0.1"])
    assert not (await send(Courier(many, private=True), f"http://receiver.test:{receiver.port}/")).delivered


async def test_a_name_that_leads_nowhere_is_a_failure() -> None:
    assert await send(Courier(Names([])), "https://receiver.test/") == Answer(None, "the host can't be resolved")
    resolver = Resolver()
    try:
        answer = await send(Courier(resolver), "https://a..b/")
    finally:
        resolver.close()
    assert answer == Answer(None, "the host can't be resolved")


@pytest.mark.parametrize(
    ("url", "because"),
    [
        ("http://example.com/", "must begin with https://"),
        ("ftp://example.com/", "no URL of the web"),
        ("file:///etc/passwd", "no URL of the web"),
        ("https:///hooks", "no URL of the web"),
        ("example.com/hooks", "no URL of the web"),
        ("https://example.com:25/", "the port must be 443"),
        ("https://example.com:99999/", "the port must be 443"),
        ("https://example.com:port/", "this is no URL"),
        ("https://fry:pass@example.com/", "leave user name and password out"),
        ("https://example.com/#here", "leave out what follows #"),
        ("https://example.com/ hooks", "plain ASCII"),
        ("https://example.com/\r\nX-Evil: 1", "plain ASCII"),
        ("https://example.com\\@127.0.0.1/", "plain ASCII"),
        ("https://bücher.example/", "plain ASCII"),
        ("https://example.com/" + "a" * 2000, "at most 2000"),
        ("https://[::1/", "this is no URL"),
        ("", "no URL of the web"),
    ],
)
async def test_a_url_that_can_not_be_a_webhooks_is_told_so_and_never_used(url: str, because: str) -> None:
    names = Names(["8.8.8.8"])
    courier = Courier(names)
    assert because in (courier.objection(url) or "")
    assert because in (await send(courier, url)).reason
    assert names.asked == []


def test_a_good_url_is_one() -> None:
    courier = Courier(Names([]))
    for url in ("https://example.com/hooks?x=1", "https://example.com:8443/", "https://xn--bcher-kva.example/"):
        assert courier.objection(url) is None
    near = Courier(Names([]), private=True)
    assert near.objection("http://127.0.0.1:80/") is None
    assert near.objection("http://fry@127.0.0.1/") is not None


def certified(folder: Path, *names: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The contexts of a server with a certificate for these names, and of who trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.now(UTC)
    alternatives = [
        x509.IPAddress(ipaddress.ip_address(each)) if each[0].isdigit() else x509.DNSName(each) for each in names
    ]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "receiver.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(cadata=certificate.public_bytes(serialization.Encoding.PEM).decode())


async def test_the_certificate_must_be_the_hosts_and_not_the_addresss(tmp_path: Path) -> None:
    server, trust = certified(tmp_path, "receiver.test")
    with receiving(server) as receiver:
        courier = Courier(Names(["127.0.0.1"]), private=True, trust=trust)
        assert (await send(courier, f"https://receiver.test:{receiver.port}/")).delivered
        for url in (f"https://other.test:{receiver.port}/", receiver.url):
            assert await send(courier, url) == Answer(None, "the receiver's certificate is not valid for its host")
        stranger = Courier(Names(["127.0.0.1"]), private=True)
        assert not (await send(stranger, f"https://receiver.test:{receiver.port}/")).delivered
        assert len(receiver.sent) == 1


async def test_a_connection_to_one_host_does_not_serve_another_at_the_same_address(tmp_path: Path) -> None:
    server, trust = certified(tmp_path, "receiver.test")
    with receiving(server) as receiver:
        async with line(Courier(Names(["127.0.0.1"]), private=True, trust=trust)) as opened:
            for _ in range(2):
                assert (await opened.send(f"https://receiver.test:{receiver.port}/", {}, b"{}")).delivered
            assert not (await opened.send(f"https://other.test:{receiver.port}/", {}, b"{}")).delivered
        assert len(receiver.sent) == 2
        assert len({each.connection for each in receiver.sent}) == 1


async def test_who_speaks_no_tls_is_no_secure_receiver(receiver: Receiver) -> None:
    courier = Courier(Names(["127.0.0.1"]), private=True)
    answer = await send(courier, f"https://receiver.test:{receiver.port}/")
    assert answer == Answer(None, "no secure connection could be made")
