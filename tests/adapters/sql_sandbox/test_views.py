"""What a query sees: only the columns it speaks of, handles instead of sealed values, and no secrets."""

import io
import json
from pathlib import Path

import pyarrow as pa
import pytest

from adapters.archive.columns import batch_of
from adapters.sql_sandbox import views as seen
from domain.event import Sealed
from domain.ids import TenantId
from domain.view import Versioned
from projections import agents, directory
from tests import golden

GOLDEN = Path(golden.__path__[0]) / "events.json"
TENANT = TenantId("ten_" + "0" * 32)


@pytest.mark.parametrize(
    ("sql", "everything", "data"),
    [
        ("SELECT count(*) FROM events", False, False),
        ("SELECT COUNT ( * ) FROM events WHERE type = 'x'", False, False),
        ("SELECT * FROM events", True, True),
        ("SELECT e.* FROM events e", True, True),
        ("FROM events", True, True),
        ("TABLE events", True, True),
        ("SELECT COLUMNS('p.*') FROM events", True, True),
        ("SELECT position, Data->>'user' FROM events", False, True),
    ],
)
def test_columns_are_told_by_the_words_of_a_query(sql: str, everything: bool, data: bool) -> None:
    named = seen.Named.of(sql)
    assert (named.everything, named.names("data")) == (everything, data)
    types = {field.name: field.type for field in seen.events_schema(named)}
    assert list(types) == seen.EVENTS.names
    assert types["position"] == pa.int64()
    assert (types["decision"] == pa.string()) == everything


def test_equal_values_of_one_person_have_one_handle_and_others_have_others() -> None:
    handles = seen.Handles()
    one = Sealed("dek_1", b"1" * 12, b"cipher", b"e" * 16)
    again = Sealed("dek_1", b"2" * 12, b"other cipher", b"e" * 16)
    other = Sealed("dek_2", b"1" * 12, b"cipher", b"e" * 16)
    handle = handles.of("name", one)
    assert handle == handles.of("name", again)
    assert handle != handles.of("name", other)
    assert handle != handles.of("email", one)
    assert handle != seen.Handles().of("name", one), "a handle means nothing in another query"
    found = handles.find(handle)
    assert found is not None
    assert found[0] == "name"
    assert handles.find("sealed:" + "0" * 24) is None


def test_rows_have_no_hashes_of_secrets(tmp_path: Path) -> None:
    for view in (agents.API_KEYS, directory.USERS, directory.TOKENS):
        names = seen.schema_of(view).names
        assert not [name for name in names if "hash" in name or "secret" in name]
    row = agents.ApiKeyRow("key_1", TENANT, b"secret hash", ("users:read",), 1, 2, None, 3)  # type: ignore[arg-type]
    batch = seen.rows(agents.API_KEYS, [Versioned("key_1", 7, row)], seen.Handles())
    (found,) = batch.to_pylist()
    assert (found["key"], found["since_position"], found["permissions"]) == ("key_1", 7, ["users:read"])
    with seen.stream(tmp_path, batch.schema, [batch]) as file:
        file.seek(0)
        assert pa.ipc.open_stream(io.BytesIO(file.read())).read_all().num_rows == 1
    assert not list(tmp_path.iterdir()), "the file has no name"


def test_every_event_of_the_golden_history_can_be_seen() -> None:
    stored = [bytes.fromhex(each["stored"]) for each in json.loads(GOLDEN.read_text())]
    batch = batch_of(TENANT, list(enumerate(stored, 1)))
    schema = seen.events_schema(seen.Named.of("SELECT * FROM events"))
    handles = seen.Handles()
    (found,) = seen.events(TENANT, [batch], handles, schema)
    for line in found.to_pylist():
        data = json.loads(line["data"])
        assert not [name for name, value in data.items() if "hash" in name and value is not None]
