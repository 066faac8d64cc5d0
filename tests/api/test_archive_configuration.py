"""The settings of the archive: what is wrong is told with what to set, and secrets are never shown."""

from pathlib import Path

import pytest

from api.configuration import Configuration, ConfigurationError, from_environment

KEYS = {"MUNIMENT_ARCHIVE_ACCESS_KEY": "AKIA0", "MUNIMENT_ARCHIVE_SECRET_KEY": "very secret"}


def read(environment: dict[str, str]) -> Configuration:
    return from_environment(environment, data=Path("data"))


def test_by_itself_it_is_in_the_data_folder() -> None:
    archive = read({}).archive
    assert (archive.on, archive.folder, archive.bucket, archive.seconds) == (True, None, None, 300)


def test_a_folder_or_nothing() -> None:
    assert read({"MUNIMENT_ARCHIVE": "/elsewhere"}).archive.folder == Path("/elsewhere")
    assert read({"MUNIMENT_ARCHIVE": "off"}).archive.on is False


def test_a_bucket_with_its_region_and_endpoint() -> None:
    place = "s3://our-archive/of/us?region=eu-central-1&endpoint=https://minio.example:9000"
    bucket = read({"MUNIMENT_ARCHIVE": place, **KEYS}).archive.bucket
    assert bucket is not None
    assert (bucket.name, bucket.prefix, bucket.region) == ("our-archive", "of/us", "eu-central-1")
    assert (bucket.endpoint, bucket.secret_key) == ("https://minio.example:9000", "very secret")
    assert "secret" not in repr(read({"MUNIMENT_ARCHIVE": place, **KEYS}))


def test_a_secret_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from a file\n")
    settings = {
        "MUNIMENT_ARCHIVE": "s3://our-archive",
        "MUNIMENT_ARCHIVE_ACCESS_KEY": "AKIA0",
        "MUNIMENT_ARCHIVE_SECRET_KEY_FILE": str(tmp_path / "secret"),
    }
    bucket = read(settings).archive.bucket
    assert bucket is not None
    assert bucket.secret_key == "from a file"


@pytest.mark.parametrize(
    "place",
    [
        "https://bucket.example/",
        "s3://",
        "s3://A_Bucket",
        "s3://key:secret@bucket",
        "s3://bucket/../other",
        "s3://bucket/a//b",
        "s3://bucket?secret=x",
        "s3://bucket?endpoint=ftp://there",
        "s3://bucket#fragment",
        "gs://bucket",
    ],
)
def test_a_place_that_is_none_is_refused_without_being_told_again(place: str) -> None:
    with pytest.raises(ConfigurationError, match="MUNIMENT_ARCHIVE must be") as refused:
        read({"MUNIMENT_ARCHIVE": place})
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("left_out", sorted(KEYS))
def test_half_of_the_credentials_are_refused(left_out: str) -> None:
    with pytest.raises(ConfigurationError, match="or neither"):
        read({"MUNIMENT_ARCHIVE": "s3://bucket", **{name: text for name, text in KEYS.items() if name != left_out}})


@pytest.mark.parametrize("seconds", ["0", "-1", "x", "86401", "²"])
def test_an_interval_must_be_a_number(seconds: str) -> None:
    with pytest.raises(ConfigurationError, match="MUNIMENT_ARCHIVE_SECONDS must be a number"):
        read({"MUNIMENT_ARCHIVE_SECONDS": seconds})
