"""The tables beside each projection: they are what its rows say, and all of them are there."""

from pathlib import Path

import pytest

import projections
from adapters.postgres.tables import tables_of
from projections.every import EVERY_VIEW

FOLDER = Path(projections.__path__[0])
CAPABILITIES = sorted({type(view).__module__.rpartition(".")[2] for view in EVERY_VIEW})


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_the_sql_beside_a_projection_is_what_its_rows_say(capability: str) -> None:
    views = [view for view in EVERY_VIEW if type(view).__module__ == f"projections.{capability}"]
    comment, _, tables = (FOLDER / f"{capability}.sql").read_text().partition("\n\n")
    assert comment.startswith("-- ")
    assert tables == tables_of(views)


def test_every_table_belongs_to_a_view() -> None:
    assert sorted(file.stem for file in FOLDER.glob("*.sql")) == CAPABILITIES
