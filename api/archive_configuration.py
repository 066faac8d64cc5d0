"""The settings MUNIMENT_ARCHIVE*: where a node archives to, and how often."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import msgspec

from api.kafka_configuration import ConfigurationError

_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX: Final = re.compile(r"[A-Za-z0-9!_.()=-]+(/[A-Za-z0-9!_.()=-]+)*")
_WRITE: Final = (
    "MUNIMENT_ARCHIVE must be a folder, off, or like s3://bucket/prefix?region=eu-central-1&endpoint=https://…, "
    "without credentials in it"
)


class Bucket(msgspec.Struct, frozen=True):
    """Of S3, or of what speaks as S3 does. `repr` shows no secret."""

    name: str
    prefix: str = ""
    region: str | None = None
    endpoint: str | None = None
    access_key: str | None = None
    secret_key: str | None = None
    """None: as AWS's own tools find them."""

    def __repr__(self) -> str:
        return f"Bucket({self.name!r}, {self.prefix!r})"


class ArchiveConfiguration(msgspec.Struct, frozen=True):
    """What MUNIMENT_ARCHIVE and its neighbours say."""

    on: bool = True
    folder: Path | None = None
    """None: in the data folder."""
    bucket: Bucket | None = None
    seconds: int = 300
    """How long an event may wait until it is archived."""
    cache_mb: int = 4_096
    """What is kept on the local disk of files that were read from a bucket."""


def archive_of(environment: Mapping[str, str]) -> ArchiveConfiguration:
    """Raises ConfigurationError."""
    place = environment.get("MUNIMENT_ARCHIVE") or ""
    bucket = _bucket(environment, place) if "://" in place else None
    return ArchiveConfiguration(
        on=place != "off",
        folder=Path(place) if place not in ("", "off") and bucket is None else None,
        bucket=bucket,
        seconds=_number(environment, "MUNIMENT_ARCHIVE_SECONDS", 300, 1, 86_400),
        cache_mb=_number(environment, "MUNIMENT_ARCHIVE_CACHE_MB", 4_096, 1, 1_000_000),
    )


def _bucket(environment: Mapping[str, str], place: str) -> Bucket:
    try:
        parts = urlsplit(place)
        query = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError:
        raise ConfigurationError(_WRITE) from None
    prefix, endpoint = parts.path.strip("/"), query.get("endpoint")
    if (
        parts.scheme != "s3"
        or _BUCKET.fullmatch(parts.netloc) is None
        or (prefix and _PREFIX.fullmatch(prefix) is None)
        or ".." in prefix.split("/")
        or not query.keys() <= {"region", "endpoint"}
        or (endpoint is not None and not endpoint.startswith(("https://", "http://")))
        or parts.fragment
    ):
        raise ConfigurationError(_WRITE)
    access_key, secret_key = environment.get("MUNIMENT_ARCHIVE_ACCESS_KEY") or None, _secret(environment)
    if (access_key is None) != (secret_key is None):
        raise ConfigurationError(
            "set MUNIMENT_ARCHIVE_ACCESS_KEY and MUNIMENT_ARCHIVE_SECRET_KEY (or MUNIMENT_ARCHIVE_SECRET_KEY_FILE), "
            "or neither: then the environment is asked as AWS's own tools do"
        )
    return Bucket(parts.netloc, prefix, query.get("region"), endpoint, access_key, secret_key)


def _secret(environment: Mapping[str, str]) -> str | None:
    text, file = environment.get("MUNIMENT_ARCHIVE_SECRET_KEY"), environment.get("MUNIMENT_ARCHIVE_SECRET_KEY_FILE")
    if text and file:
        raise ConfigurationError("set MUNIMENT_ARCHIVE_SECRET_KEY or MUNIMENT_ARCHIVE_SECRET_KEY_FILE, not both")
    if file:
        try:
            text = Path(file).read_text().strip()
        except (OSError, UnicodeDecodeError) as problem:
            raise ConfigurationError("MUNIMENT_ARCHIVE_SECRET_KEY_FILE can't be read: name a file with it") from problem
    return text or None


def _number(environment: Mapping[str, str], name: str, otherwise: int, least: int, most: int) -> int:
    text = environment.get(name) or str(otherwise)
    if not text.isascii() or not text.isdigit() or len(text) > 9 or not least <= int(text) <= most:
        raise ConfigurationError(f"{name} must be a number from {least} to {most}")
    return int(text)
