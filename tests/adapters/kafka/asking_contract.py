"""What every client promises of its questions to the brokers, and where there are none."""

import time

from adapters.kafka.client import Admin, Client, Place
from tests.adapters.kafka.clients import NOBODY, TRANSACTION, ClientFixtures, Connect, said, unavailable
from tests.kafka.fixtures import fresh_prefix
from tests.node import PATIENCE, until


class AskingContract(ClientFixtures):
    """Inherit, and give the fixture `using`."""

    def test_a_topic_is_made_once_and_told_with_all_its_settings(self, client: Client, admin: Admin) -> None:
        name = fresh_prefix()
        assert admin.topic(name) is None
        admin.create_topic(name, 3, 1, {"retention.ms": "-1", "cleanup.policy": "compact"})
        admin.create_topic(name, 5, 1, {"retention.ms": "1"})
        topic = admin.topic(name)
        assert topic is not None
        assert (topic.partitions, topic.replication) == (3, 1)
        assert topic.configs["retention.ms"] == "-1"
        assert topic.configs["cleanup.policy"] == "compact"
        assert topic.configs["unclean.leader.election.enable"] == "false"
        writer = client.writer(name, TRANSACTION)
        writer.open(PATIENCE)
        assert writer.commit([said(Place(name, number), b"x") for number in range(3)], PATIENCE) == [0, 0, 0]
        writer.close()

    def test_offsets_are_found_by_time(self, client: Client, admin: Admin, places: list[Place]) -> None:
        before = int(time.time() * 1000)
        writer = client.writer(places[0].topic, TRANSACTION)
        writer.open(PATIENCE)
        writer.commit([said(places[0], b"1")], PATIENCE)
        until(lambda: int(time.time() * 1000) > before + 20, "a later time")
        between = int(time.time() * 1000)
        writer.commit([said(places[0], b"2")], PATIENCE)
        writer.close()
        until(lambda: admin.ends(places, committed=True)[places[0]] == 4, "the last marker")
        assert admin.offsets_at(places, before - 1000) == {places[0]: 0, places[1]: None}
        assert admin.offsets_at(places, between)[places[0]] in (1, 2)  # the marker has a time, too
        assert admin.offsets_at(places, between + 3_600_000) == {places[0]: None, places[1]: None}
        assert admin.ends([], committed=True) == {}

    def test_a_group_that_is_not_there_has_no_members(self, admin: Admin) -> None:
        assert admin.members(fresh_prefix()) == {}

    def test_where_there_is_no_broker_everything_says_so_in_time(self, using: Connect) -> None:
        client = using(NOBODY)
        place = Place("nowhere", 0)
        writer, admin, reader = client.writer("nobody", TRANSACTION), client.admin(), client.reader()
        reader.assign({place: 0})
        for doing, seconds in (
            (lambda: writer.open(1.0), 1.0),
            (lambda: admin.ends([place], committed=True), 10.0),
            (lambda: until(lambda: reader.poll(1.0), "nothing"), 12.0),
        ):
            started = time.monotonic()
            assert str(unavailable(doing)).startswith("Kafka is not available for ")
            assert time.monotonic() - started < seconds + 5
        for each in (writer, admin, reader):
            each.close()
