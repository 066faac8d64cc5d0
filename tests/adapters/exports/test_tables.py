"""Tables as text: every type has a form, and no cell of a spreadsheet runs."""

import csv
import io
import json
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq

from adapters.exports.tables import as_arrow, as_csv, as_ndjson, as_parquet, rows_of

TABLE = pa.table(
    [
        pa.array([1, -5, None], pa.int64()),
        pa.array(["=1+1", "-x", "plain"]),
        pa.array([["=a"], [], None], pa.list_(pa.string())),
        pa.array([datetime(2026, 1, 2, tzinfo=UTC)] * 3, pa.timestamp("us", "UTC")),
        pa.array([Decimal("1.50"), None, Decimal("-2.00")], pa.decimal128(10, 2)),
        pa.array([b"\x00\xff", None, b""], pa.binary()),
        pa.array([float("nan"), 1.5, float("inf")], pa.float64()),
        pa.array([2**60, 2**53, 1], pa.int64()),
        pa.array([True, False, None]),
    ],
    names=["n", "=text", "list", "at", "n", "bytes", "float", "big", "yes"],
)


def test_json_says_every_value() -> None:
    assert rows_of(TABLE)[0] == [
        1,
        "=1+1",
        ["=a"],
        "2026-01-02T00:00:00Z",
        "1.50",
        "AP8=",
        "nan",
        str(2**60),
        True,
    ]
    lines = [json.loads(line) for line in as_ndjson(TABLE).decode().splitlines()]
    assert list(lines[0]) == ["n", "=text", "list", "at", "n_2", "bytes", "float", "big", "yes"]


def test_text_that_begins_like_a_formula_is_neutral_in_csv_and_numbers_are_numbers() -> None:
    header, *rows = csv.reader(io.StringIO(as_csv(TABLE).decode(), newline=""))
    assert header[1] == "'=text"
    assert [row[1] for row in rows] == ["'=1+1", "'-x", "plain"]
    assert [row[0] for row in rows] == ["1", "-5", ""]
    assert rows[0][2] == '["=a"]'
    assert rows[2][4] == "'-2.00"


def test_parquet_and_arrow_are_read_back() -> None:
    assert pq.read_table(io.BytesIO(as_parquet(TABLE))).num_rows == 3
    assert pa.ipc.open_stream(as_arrow(TABLE)).read_all().num_rows == 3
