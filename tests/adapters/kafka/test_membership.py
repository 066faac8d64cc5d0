"""A group of nodes shares partitions, whichever libraries its members use."""

import time
from collections.abc import Iterator

import pytest

from adapters.kafka.client import Admin, Callbacks, Unavailable
from tests.adapters.kafka.clients import NOBODY, Library, by
from tests.adapters.kafka.group import Group, MemberProcess
from tests.kafka.broker import Cluster
from tests.kafka.fixtures import Brokers
from tests.kafka.proxy import FETCH, Link
from tests.node import until

LIBRARIES: tuple[Library, ...] = ("kafka-python", "librdkafka")
ALL = frozenset(range(6))
SHORT = 2.0

each = pytest.mark.parametrize("library", LIBRARIES)
each_pair = pytest.mark.parametrize(("first", "second"), [(one, two) for one in LIBRARIES for two in LIBRARIES])


@pytest.fixture
def admin(kafka: Brokers) -> Iterator[Admin]:
    admin = by("librdkafka")(kafka.servers).admin()
    yield admin
    admin.close()


@pytest.fixture
def group(admin: Admin) -> Iterator[Group]:
    group = Group()
    admin.create_topic(group.topic, len(ALL), 1, {})
    yield group
    group.close()
    assert [member.problem for member in group.members if member.problem] == []


@each
def test_who_is_alone_has_everything(library: Library, kafka: Brokers, admin: Admin, group: Group) -> None:
    alone = group.join(by(library)(kafka.servers), "alone")
    until(lambda: alone.held == ALL, "all partitions")
    assert alone.told == [("assigned", ALL)]
    assert alone.membership.generation >= 1
    for asking in LIBRARIES:
        other = by(asking)(kafka.servers).admin()
        assert other.members(group.name) == {"alone": ALL}
        other.close()


@each_pair
def test_a_newcomer_gets_its_share_and_what_stays_is_not_disturbed(
    first: Library, second: Library, kafka: Brokers, admin: Admin, group: Group
) -> None:
    one = group.join(by(first)(kafka.servers), "one")
    until(lambda: one.held == ALL, "all partitions")
    before = one.membership.generation
    two = group.join(by(second)(kafka.servers), "two")
    until(lambda: len(one.held) == len(two.held) == 3, "a fair share")
    assert one.held | two.held == ALL
    assert one.told == [("assigned", ALL), ("revoked", two.held)]
    assert two.told == [("assigned", two.held)]
    until(lambda: one.membership.generation == two.membership.generation, "the same generation")
    assert two.membership.generation > before
    until(lambda: admin.members(group.name) == {"one": one.held, "two": two.held}, "the members")
    assert group.clashes == []


@each_pair
def test_who_leaves_is_replaced_at_once(first: Library, second: Library, kafka: Brokers, group: Group) -> None:
    session = 60.0
    one = group.join(by(first)(kafka.servers), "one", session)
    two = group.join(by(second)(kafka.servers), "two", session)
    until(lambda: len(one.held) == len(two.held) == 3, "a fair share")
    started = time.monotonic()
    one.leave()
    until(lambda: two.held == ALL, "all partitions")
    assert time.monotonic() - started < session / 2
    assert ("lost", one.held) not in two.told
    assert group.clashes == []


@each_pair
def test_a_partition_waits_until_it_is_given_up_however_long_that_takes(
    first: Library, second: Library, kafka: Brokers, group: Group
) -> None:
    one = group.join(by(first)(kafka.servers), "one", SHORT)
    until(lambda: one.held == ALL, "all partitions")
    held: list[frozenset[int]] = []

    def drain() -> None:
        started = time.monotonic()
        until(lambda: time.monotonic() - started > 2 * SHORT, "more than a session")
        held.append(two.held)

    one.giving = drain
    two = group.join(by(second)(kafka.servers), "two", SHORT)
    until(lambda: len(one.held) == len(two.held) == 3, "a fair share")
    assert held == [frozenset()]
    assert [what for what, _ in one.told] == ["assigned", "revoked"]
    assert group.clashes == []


@each_pair
def test_three_come_and_go(first: Library, second: Library, kafka: Brokers, group: Group) -> None:
    one = group.join(by(first)(kafka.servers), "one")
    two = group.join(by(second)(kafka.servers), "two")
    three = group.join(by(first)(kafka.servers), "three")
    until(lambda: len(one.held) == len(two.held) == len(three.held) == 2, "a fair share")
    generation = three.membership.generation
    one.leave()
    until(lambda: len(two.held) == len(three.held) == 3, "a fair share of two")
    four = group.join(by(second)(kafka.servers), "four")
    until(lambda: len(two.held) == len(three.held) == len(four.held) == 2, "a fair share again")
    two.leave()
    three.leave()
    until(lambda: four.held == ALL, "all partitions")
    assert four.membership.generation > generation
    assert group.clashes == []


@each_pair
def test_a_process_that_was_paused_learns_that_it_lost_all_and_joins_again(
    first: Library, second: Library, kafka: Brokers, group: Group
) -> None:
    paused = MemberProcess(kafka.servers, first, group, "paused", SHORT)
    try:
        until(lambda: paused.held == ALL, "all partitions")
        other = group.join(by(second)(kafka.servers), "other", SHORT)
        until(lambda: len(paused.held) == len(other.held) == 3, "a fair share")
        had = paused.held
        paused.pause()
        until(lambda: other.held == ALL, "what the paused one had")
        heard = len(paused.told)
        paused.resume()
        until(lambda: len(paused.held) == len(other.held) == 3 and len(paused.told) > heard, "a fair share again")
        assert paused.told[heard] == ("lost", had)
    finally:
        paused.resume()
        paused.kill()
    until(lambda: other.held == ALL, "what the dead one had")


@each
def test_who_is_cut_off_for_longer_than_its_session_takes_all_for_lost(
    library: Library, own_kafka: Cluster, kafka_link: Link, group: Group
) -> None:
    topic_here = by("librdkafka")(own_kafka.servers).admin()
    topic_here.create_topic(group.topic, len(ALL), 1, {})
    topic_here.close()
    member = group.join(by(library)(kafka_link.servers), "cut off", SHORT)
    until(lambda: member.held == ALL, "all partitions")
    kafka_link.cut()
    until(lambda: member.told[-1] == ("lost", ALL), "the loss")
    kafka_link.pass_all()
    until(lambda: member.held == ALL, "all partitions again")


@each
def test_a_member_reads_nothing(library: Library, own_kafka: Cluster, kafka_link: Link, group: Group) -> None:
    topic_here = by("librdkafka")(own_kafka.servers).admin()
    topic_here.create_topic(group.topic, len(ALL), 1, {})
    topic_here.close()
    before = kafka_link.requests[FETCH]
    member = group.join(by(library)(kafka_link.servers), "member", SHORT)
    until(lambda: member.held == ALL, "all partitions")
    started = time.monotonic()
    until(lambda: time.monotonic() - started > 2.0, "some time")
    assert kafka_link.requests[FETCH] - before <= 1


@each
def test_what_a_callback_raises_comes_out_of_the_poll(library: Library, kafka: Brokers, group: Group) -> None:
    def refuse(partitions: frozenset[int], generation: int) -> None:
        raise LookupError("not now")

    client = by(library)(kafka.servers)
    membership = client.membership(group.name, group.topic, "one", 6.0, Callbacks(refuse, refuse, refuse))  # type: ignore[arg-type]
    with pytest.raises(LookupError, match="not now"):
        until(lambda: membership.poll(0.2), "an assignment")
    membership.close()


@each
def test_without_a_broker_there_is_no_group(library: Library) -> None:
    nothing = Callbacks(lambda *_: None, lambda _: None, lambda _: None)
    membership = by(library)(NOBODY).membership("group", "topic", "name", 6.0, nothing)
    with pytest.raises(Unavailable, match="Kafka is not available for the group of nodes"):
        until(lambda: membership.poll(0.5), "a group")
    membership.close()
