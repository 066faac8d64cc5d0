"""Archives in a folder and in a bucket: what holds of one must hold of the other."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.archive.folder import FolderStorage
from adapters.archive.object_storage import ObjectStorage, bucket
from adapters.archive.storage import Storage
from tests.adapters.archive.past import Past, past
from tests.s3 import bucket_at
from tests.s3 import s3 as s3


@pytest.fixture(params=["folder", "bucket"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "folder":
        return FolderStorage(tmp_path / "archive")
    s3 = request.getfixturevalue("s3")
    made = bucket(
        bucket_at(s3), "of/us", region="us-east-1", endpoint=s3, access_key="testing", secret_key="a secret of tests"
    )
    return ObjectStorage(made)


@pytest.fixture
def acme(tmp_path: Path, storage: Storage) -> Iterator[Past]:
    with past(tmp_path, storage) as made:
        yield made
