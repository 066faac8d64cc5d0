"""An archive in a bucket of S3, or of what speaks as S3 does."""

import contextlib
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotFoundError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import S3Store

from adapters.archive.storage import Listed, Replaced, StorageError, Versioned

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Config

_PATIENCE: Final = timedelta(seconds=60)


def bucket(
    name: str,
    prefix: str,
    *,
    region: str | None = None,
    endpoint: str | None = None,
    access_key: str | None = None,
    secret_key: str | None = None,
) -> S3Store:
    """What is not said is taken from the environment as AWS's own tools do (AWS_REGION, AWS_ACCESS_KEY_ID, roles …)."""
    config: S3Config = {}
    if region is not None:
        config["region"] = region
    if endpoint is not None:
        config["endpoint"] = endpoint
    if access_key is not None and secret_key is not None:
        config["access_key_id"], config["secret_access_key"] = access_key, secret_key
    client: ClientConfig = {"connect_timeout": timedelta(seconds=10), "read_timeout": _PATIENCE}
    if endpoint is not None and endpoint.startswith("http://"):
        client["allow_http"] = True
    retry: RetryConfig = {"max_retries": 5, "retry_timeout": _PATIENCE}
    return S3Store(name, prefix=prefix or None, config=config, client_options=client, retry_config=retry)


class ObjectStorage:
    """See adapters.archive.storage.Storage. `replace` is a conditional PUT, which the service must support."""

    def __init__(self, store: S3Store) -> None:
        self._store = store

    def put(self, key: str, file: Path) -> None:
        with _said():
            obstore.put(self._store, key, file)

    def read(self, key: str) -> Versioned | None:
        with _said():
            try:
                found = obstore.get(self._store, key)
                return Versioned(bytes(found.bytes()), found.meta["e_tag"] or "")
            except (NotFoundError, FileNotFoundError):
                return None

    def replace(self, key: str, data: bytes, version: str | None) -> str:
        with _said():
            try:
                if version is None:
                    return obstore.put(self._store, key, data, mode="create")["e_tag"] or ""
                return obstore.put(self._store, key, data, mode={"e_tag": version})["e_tag"] or ""
            except (AlreadyExistsError, PreconditionError):
                raise Replaced(key) from None

    def fetch(self, key: str, into: Path) -> bool:
        with _said():
            try:
                found = obstore.get(self._store, key)
            except (NotFoundError, FileNotFoundError):
                return False
            with into.open("wb") as file:
                for chunk in found.stream():
                    file.write(chunk)
        return True

    def local(self, key: str) -> Path | None:
        return None

    def under(self, prefix: str) -> Iterator[Listed]:
        with _said():
            for page in obstore.list(self._store, prefix):
                for each in page:
                    yield Listed(each["path"], each["last_modified"].timestamp())

    def delete(self, keys: Iterable[str]) -> None:
        with _said():
            for key in keys:
                with contextlib.suppress(NotFoundError, FileNotFoundError):
                    obstore.delete(self._store, key)


@contextlib.contextmanager
def _said() -> Iterator[None]:
    """Trouble with the bucket in one sentence, without what the service answered."""
    try:
        yield
    except (PermissionDeniedError, UnauthenticatedError):
        raise StorageError(
            "the archive's bucket refuses the credentials: see to MUNIMENT_ARCHIVE_ACCESS_KEY and its secret, "
            "or to AWS's own variables, and to what they may do"
        ) from None
    except (NotFoundError, FileNotFoundError):
        raise StorageError("the archive's bucket does not exist: make it, or correct MUNIMENT_ARCHIVE") from None
    except (BaseError, OSError):
        raise StorageError(
            "the archive's bucket can't be reached: see to the network, and to the endpoint and region in "
            "MUNIMENT_ARCHIVE"
        ) from None
