"""The keyring: data keys that seal personal values, wrapped by a key of their tenant, which the root key wraps.

A data key is 64 bytes: 32 encrypt (AES-256-GCM), 32 key the hash that tells equal values. It belongs to one subject of
one tenant, and is destroyed with it. Handles stand for unique personal values; the ring alone knows for which.
"""

import hashlib
import os
import sqlite3
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from adapters.embedded.database import Database
from adapters.fresh_ids import new_id
from domain.event import Sealed
from domain.ids import DEPLOYMENT, Handle, TenantId
from domain.ledger import NewKeys

MOST_CACHED: Final = 50_000
LOOKUP: Final = "lookup"
"""The subject of the data key that hashes the values behind handles."""


class WrongRootKey(Exception):
    """The root key does not open this data folder's keyring."""


class DataKey(NamedTuple):
    """An unwrapped data key, only ever in memory."""

    id: str
    tenant: TenantId
    subject: str
    cipher: AESGCM
    eq: bytes

    def bound(self, field: str) -> bytes:
        """What a sealed value is bound to: it opens nowhere else."""
        return f"{self.tenant}|{self.subject}|{field}".encode()


class Keyring:
    """Keys of all tenants. Making one is free of effects until an event that needs it is recorded."""

    def __init__(self, database: Database, root_key: bytes) -> None:
        self._database = database
        self._root = AESGCM(root_key)
        self._by_subject: OrderedDict[tuple[str, str], DataKey] = OrderedDict()
        self._by_id: OrderedDict[str, DataKey] = OrderedDict()
        self._tenant_keys: dict[str, tuple[str, AESGCM]] = {}
        self._handles: OrderedDict[tuple[str, bytes], Handle] = OrderedDict()
        self._unwritten: dict[str, tuple[str, str, bytes]] = {}
        """Ids of keys that no commit has brought into being yet → (tenant, subject, wrapped)."""
        self._unwritten_tenants: dict[str, tuple[str, bytes]] = {}
        self.epoch = 0
        """Counts erasures, so that what was read before one can be told from what is read after."""
        self._tenant_key(DEPLOYMENT)

    def seal(self, keys: NewKeys, tenant: TenantId, subject: str, field: str, value: str) -> Sealed:
        """Encrypt a value under its subject's key; `keys` gets the key if it is new."""
        key = self.key_of(keys, tenant, subject)
        data = value.encode()
        nonce = os.urandom(12)
        bound = key.bound(field)
        eq = hashlib.blake2b(bound + b"|" + data, key=key.eq, digest_size=16).digest()
        return Sealed(key.id, nonce, key.cipher.encrypt(nonce, data, bound), eq)

    def unseal(self, tenant: TenantId, field: str, sealed: Sealed) -> str | None:
        """The value, or None if its key is destroyed. Raises ValueError for what was sealed elsewhere."""
        key = self._by_id.get(sealed.key) or self._load(sealed.key)
        if key is None:
            return None
        if key.tenant != tenant:
            raise ValueError("the value was sealed for another tenant")
        try:
            return key.cipher.decrypt(sealed.nonce, sealed.ciphertext, key.bound(field)).decode()
        except InvalidTag as problem:
            raise ValueError("the value was changed, or sealed for another field") from problem

    def handle(self, keys: NewKeys, tenant: TenantId, attribute: str, value: str) -> Handle:
        """What stands for a unique value; a new one if it was never seen."""
        lookup = self._lookup(keys, tenant, attribute, value)
        found = self.known_handle(tenant, lookup)
        if found is None:
            found = Handle(new_id("hdl"))
            self._handles[tenant, lookup] = found
            _bound(self._handles)
        keys.handles[found] = lookup
        return found

    def find_handle(self, tenant: TenantId, attribute: str, value: str) -> Handle | None:
        """What stands for a value, if anything ever did."""
        if self._loaded_key(tenant, LOOKUP) is None:
            return None
        return self.known_handle(tenant, self._lookup(NewKeys(), tenant, attribute, value))

    def blind(self, keys: NewKeys, tenant: TenantId, purpose: str, value: str) -> str:
        """A keyed hash that can be searched for, until its key (one for each purpose) is destroyed."""
        key = self.key_of(keys, tenant, purpose)
        return hashlib.blake2b(value.encode(), key=key.eq, digest_size=12).hexdigest()

    def _lookup(self, keys: NewKeys, tenant: TenantId, attribute: str, value: str) -> bytes:
        key = self.key_of(keys, tenant, LOOKUP)
        return hashlib.blake2b(f"{attribute}|{value}".encode(), key=key.eq, digest_size=32).digest()

    def known_handle(self, tenant: TenantId, lookup: bytes) -> Handle | None:
        found = self._handles.get((tenant, lookup))
        if found is not None:
            return found
        row = self._database.one(
            "SELECT handle FROM handles WHERE tenant = ? AND short = ? AND lookup = ?", (tenant, lookup[:8], lookup)
        )
        if row is None:
            return None
        self._handles[tenant, lookup] = found = Handle(row[0])
        _bound(self._handles)
        return found

    def key_of(self, keys: NewKeys, tenant: TenantId, subject: str) -> DataKey:
        """The subject's key; made, and noted in `keys`, if there is none."""
        key = self._loaded_key(tenant, subject) or self._make(tenant, subject)
        unwritten = self._unwritten.get(key.id)
        if unwritten is not None:
            keys.keys[key.id] = (subject, unwritten[2])
        return key

    def new_subject(self, keys: NewKeys, tenant: TenantId, subject: str) -> None:
        """Make the key of a subject whose id was made just now, so that nobody needs to look whether it has one."""
        key = self._make(tenant, subject)
        keys.keys[key.id] = (subject, self._unwritten[key.id][2])

    def _loaded_key(self, tenant: TenantId, subject: str) -> DataKey | None:
        key = self._by_subject.get((tenant, subject))
        if key is not None:
            return key
        row = self._database.one(
            "SELECT id, wrapped FROM data_keys WHERE tenant = ? AND subject = ? ORDER BY number DESC LIMIT 1",
            (tenant, subject),
        )
        return self._unwrap(row[0], tenant, subject, row[1]) if row and any(row[1]) else None

    def _make(self, tenant: TenantId, subject: str) -> DataKey:
        secret, nonce = os.urandom(64), os.urandom(12)
        id = new_id("dek")
        _, wrapping = self._tenant_key(tenant)
        wrapped = nonce + wrapping.encrypt(nonce, secret, f"{tenant}|{subject}|{id}".encode())
        self._unwritten[id] = (tenant, subject, wrapped)
        return self._keep(DataKey(id, tenant, subject, AESGCM(secret[:32]), secret[32:]))

    def _keep(self, key: DataKey) -> DataKey:
        self._by_subject[key.tenant, key.subject] = key
        self._by_id[key.id] = key
        _bound(self._by_subject)
        _bound(self._by_id)
        return key

    def _load(self, id: str) -> DataKey | None:
        row = self._database.one("SELECT tenant, subject, wrapped FROM data_keys WHERE id = ?", (id,))
        return self._unwrap(id, TenantId(row[0]), row[1], row[2]) if row and any(row[2]) else None

    def _unwrap(self, id: str, tenant: TenantId, subject: str, wrapped: bytes) -> DataKey:
        _, wrapping = self._tenant_key(tenant)
        secret = wrapping.decrypt(wrapped[:12], wrapped[12:], f"{tenant}|{subject}|{id}".encode())
        return self._keep(DataKey(id, tenant, subject, AESGCM(secret[:32]), secret[32:]))

    def _tenant_key(self, tenant: TenantId) -> tuple[str, AESGCM]:
        found = self._tenant_keys.get(tenant)
        if found is not None:
            return found
        row = self._database.one(
            "SELECT id, wrapped FROM tenant_keys WHERE tenant = ? ORDER BY number DESC LIMIT 1", (tenant,)
        )
        if row is None:
            id, secret, nonce = new_id("kek"), os.urandom(32), os.urandom(12)
            self._unwritten_tenants[tenant] = (id, nonce + self._root.encrypt(nonce, secret, f"{tenant}|{id}".encode()))
        else:
            id, wrapped = row
            try:
                secret = self._root.decrypt(wrapped[:12], wrapped[12:], f"{tenant}|{id}".encode())
            except InvalidTag as problem:
                raise WrongRootKey(
                    "the root key does not open this data folder: set MUNIMENT_ROOT_KEY or MUNIMENT_ROOT_KEY_FILE to "
                    "the key it was made with, or put the folder's own root.key back"
                ) from problem
        self._tenant_keys[tenant] = found = (id, AESGCM(secret))
        return found

    def store(self, connection: sqlite3.Connection, tenant: TenantId, keys: NewKeys) -> None:
        """Bring keys and handles into being, in the sequencer's transaction."""
        if tenant in self._unwritten_tenants and keys.keys:
            id, wrapped = self._unwritten_tenants[tenant]
            connection.execute(
                "INSERT INTO tenant_keys (tenant, id, wrapped) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (tenant, id, wrapped),
            )
        connection.executemany(
            "INSERT INTO data_keys (tenant, id, subject, wrapped) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            [(tenant, id, subject, wrapped) for id, (subject, wrapped) in keys.keys.items() if id in self._unwritten],
        )
        connection.executemany(
            "INSERT INTO handles (tenant, handle, lookup, short) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            [(tenant, handle, lookup, lookup[:8]) for handle, lookup in keys.handles.items()],
        )

    def stored(self, written: Iterable[tuple[TenantId, NewKeys]]) -> None:
        """After the commit: these are in the ring now."""
        for tenant, keys in written:
            for id in keys.keys:
                self._unwritten.pop(id, None)
            if keys.keys:
                self._unwritten_tenants.pop(tenant, None)

    def destroy(
        self, connection: sqlite3.Connection, tenant: TenantId, subject: str, handles: Iterable[Handle]
    ) -> None:
        """Overwrite in place, in the sequencer's transaction, what opens a subject's values and names."""
        connection.execute(
            "UPDATE data_keys SET wrapped = zeroblob(length(wrapped)) WHERE tenant = ? AND subject = ?",
            (tenant, subject),
        )
        connection.executemany(
            "UPDATE handles SET lookup = zeroblob(32), short = zeroblob(8) WHERE tenant = ? AND handle = ?",
            [(tenant, handle) for handle in handles],
        )

    def evict(self, tenant: TenantId, subject: str, handles: Iterable[Handle]) -> None:
        """After the commit: forget what was destroyed."""
        self.epoch += 1
        self._by_subject.pop((tenant, subject), None)
        for id in [id for id, key in self._by_id.items() if key.tenant == tenant and key.subject == subject]:
            del self._by_id[id]
        gone = set(handles)
        for each in [each for each, handle in self._handles.items() if handle in gone]:
            del self._handles[each]

    def forget(self) -> None:
        """After a failed commit: keys that were not written may be in use by commands that wait, so keep those."""
        self._by_subject.clear()
        self._by_id.clear()
        self._handles.clear()


def _bound(cache: "OrderedDict[Any, Any]") -> None:
    if len(cache) > MOST_CACHED:
        for _ in range(MOST_CACHED // 10):
            cache.popitem(last=False)
