"""Fresh ids are what the domain says ids are, and never come twice."""

import os
import re
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

from adapters.fresh_ids import new_event_id, new_id, random_12
from domain.ids import id_from, is_id


def test_an_id_is_what_the_domain_makes_of_now() -> None:
    before = time.time_ns() // 1000
    made = new_id("usr")
    after = time.time_ns() // 1000
    assert is_id(made, "usr")
    assert id_from("usr", before, bytes(10))[:16] <= made[:16] <= id_from("usr", after, bytes(10))[:16]
    assert len(made) == len(id_from("usr", before, bytes(10)))


def test_an_event_id_is_a_uuid_of_version_7_with_its_time() -> None:
    instant = 1_790_000_000_123_456
    for _ in range(200):
        made = uuid.UUID(new_event_id(instant))
        assert (made.version, made.variant) == (7, uuid.RFC_4122)
        assert made.int >> 80 == instant // 1000
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", str(made))


def test_no_two_threads_get_the_same() -> None:
    with ThreadPoolExecutor(16) as pool:
        drawn = [
            chunk for chunks in pool.map(lambda _: [random_12() for _ in range(5000)], range(16)) for chunk in chunks
        ]
    assert len(set(drawn)) == len(drawn)
    assert {len(chunk) for chunk in drawn} == {12}


def test_a_forked_child_gets_others_than_its_parent() -> None:
    random_12()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, b"".join(random_12() for _ in range(100)))
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        theirs = pipe.read()
    os.waitpid(child, 0)
    mine = [random_12() for _ in range(600)]
    assert len(theirs) == 1200
    assert not any(chunk in theirs for chunk in mine)
