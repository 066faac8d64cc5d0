"""The keyring: data keys that seal personal values, wrapped by a key of their tenant, which the root key wraps.

A data key is 64 bytes: 32 encrypt (AES-256-GCM), 32 key the hash that tells equal values. It belongs to one subject of
one tenant, and is destroyed with it. Handles stand for unique personal values; the ring alone knows for which.
"""

import os
from collections.abc import Iterable
from hashlib import blake2b
from itertools import islice
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from adapters.fresh_ids import new_id, random_12
from adapters.index.database import Database
from adapters.index.ring import RingChange, short
from adapters.index.seen_values import SeenValues
from domain.event import Sealed
from domain.ids import DEPLOYMENT, Handle, TenantId
from domain.ledger import NewKeys

MOST_GONE: Final = 10_000
MOST_CACHED: Final = 50_000
LOOKUP: Final = "lookup"
"""The subject of the data key that hashes the values behind handles."""


def is_purpose(subject: str) -> bool:
    """Whether a data key belongs to a purpose and not to anybody: `address-2026-11`. Ids have no dash."""
    return "-" in subject


class WrongRootKey(Exception):
    """The root key does not open this data folder's keyring."""


class DataKey:
    """An unwrapped data key, only ever in memory."""

    __slots__ = ("bound", "cipher", "eq", "id", "subject", "tenant", "unwritten")

    def __init__(
        self, id: str, tenant: TenantId, subject: str, secret: bytes, unwritten: tuple[str, bytes] | None
    ) -> None:
        self.id = id
        self.tenant = tenant
        self.subject = subject
        self.cipher = AESGCM(secret[:32])
        self.eq = secret[32:]
        self.bound = f"{tenant}|{subject}|".encode()
        """Together with the field: what a sealed value is bound to. It opens nowhere else."""
        self.unwritten = unwritten
        """Its subject and itself wrapped, until a commit has brought it into being."""


class Keyring:
    """Keys of all tenants. Making one is free of effects until an event that needs it is recorded."""

    def __init__(self, database: Database, root_key: bytes) -> None:
        self._database = database
        self._root = AESGCM(root_key)
        self._by_subject: dict[tuple[str, str], DataKey] = {}
        self._by_id: dict[str, DataKey] = {}
        self._tenant_keys: dict[str, tuple[str, AESGCM]] = {}
        self._handles: dict[tuple[str, bytes], Handle] = {}
        self._seen = SeenValues(database)
        self._gone: dict[object, None] = {}
        """Handles and data keys that were destroyed lately: requests under way may hold them."""
        self._going: set[object] = set()
        """Handles, and subjects with their tenants, that a command destroys which is not recorded yet."""
        self._unwritten_tenants: dict[str, tuple[str, bytes]] = {}
        self.epoch: int = database.one("SELECT coalesce(max(number), 0) FROM destructions", ())[0]
        """Counts erasures, so that what was read before one can be told from what is read after."""
        self._tenant_key(DEPLOYMENT)

    def seal(self, keys: NewKeys, tenant: TenantId, subject: str, field: str, value: str) -> Sealed:
        """Encrypt a value under its subject's key; `keys` gets the key if it is new."""
        key = self.key_of(keys, tenant, subject)
        data = value.encode()
        nonce = random_12()
        bound = key.bound + field.encode()
        eq = blake2b(bound + b"|" + data, key=key.eq, digest_size=16).digest()
        return Sealed(key.id, nonce, key.cipher.encrypt(nonce, data, bound), eq)

    def unseal(self, tenant: TenantId, field: str, sealed: Sealed) -> str | None:
        """The value, or None if its key is destroyed. Raises ValueError for what was sealed elsewhere."""
        key = self._by_id.get(sealed.key) or self._load(sealed.key)
        if key is None:
            return None
        if key.tenant != tenant:
            raise ValueError("the value was sealed for another tenant")
        try:
            return key.cipher.decrypt(sealed.nonce, sealed.ciphertext, key.bound + field.encode()).decode()
        except InvalidTag as problem:
            raise ValueError("the value was changed, or sealed for another field") from problem

    def handle(self, keys: NewKeys, tenant: TenantId, attribute: str, value: str) -> Handle:
        """What stands for a unique value; a new one if it was never seen."""
        lookup = self._lookup(keys, tenant, attribute, value)
        found = self.known_handle(tenant, lookup)
        if found is None:
            found = Handle(new_id("hdl"))
            self._handles[tenant, lookup] = found
            self._seen.add(short(lookup))
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
        return blake2b(value.encode(), key=key.eq, digest_size=12).hexdigest()

    def spent_purposes(self, first: str, before: str) -> RingChange:
        """The change that destroys the keys of all purposes from `first` on, in order, up to `before`."""
        change = RingChange()
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT id FROM data_keys WHERE subject >= ? AND subject < ? AND wrapped <> zeroblob(length(wrapped))",
                (first, before),
            )
            change.spent = [id for (id,) in rows]
        return change

    def _lookup(self, keys: NewKeys, tenant: TenantId, attribute: str, value: str) -> bytes:
        key = self.key_of(keys, tenant, LOOKUP)
        return blake2b(f"{attribute}|{value}".encode(), key=key.eq, digest_size=32).digest()

    def known_handle(self, tenant: TenantId, lookup: bytes) -> Handle | None:
        found = self._handles.get((tenant, lookup))
        if found is not None:
            return found
        if not self._seen.may_have(short(lookup)):
            return None
        row = self._database.one(
            "SELECT handle FROM handles WHERE short = ? AND tenant = ? AND lookup = ?", (short(lookup), tenant, lookup)
        )
        if row is None:
            return None
        self._handles[tenant, lookup] = found = Handle(row[0])
        _bound(self._handles)
        return found

    def key_of(self, keys: NewKeys, tenant: TenantId, subject: str) -> DataKey:
        """The subject's key; made, and noted in `keys`, if there is none."""
        key = self._by_subject.get((tenant, subject))
        if key is None:
            key = self._loaded_key(tenant, subject) or self._make(tenant, subject)
        self._note(keys, key)
        return key

    def _note(self, keys: NewKeys, key: DataKey) -> None:
        """What brings a key into being comes with what needs it, until it has come."""
        if key.unwritten is not None:
            keys.keys[key.id] = key.unwritten
            keys.tenant_key = self._unwritten_tenants.get(key.tenant)

    def new_subject(self, keys: NewKeys, tenant: TenantId, subject: str) -> None:
        """Make the key of a subject whose id was made just now, so that nobody needs to look whether it has one."""
        self._note(keys, self._make(tenant, subject))

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
        secret, nonce = os.urandom(64), random_12()
        id = new_id("dek")
        _, wrapping = self._tenant_key(tenant)
        wrapped = nonce + wrapping.encrypt(nonce, secret, f"{tenant}|{subject}|{id}".encode())
        return self._keep(DataKey(id, tenant, subject, secret, (subject, wrapped)))

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
        return self._keep(DataKey(id, tenant, subject, secret, None))

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
            self._tenant_keys[tenant] = found = (id, self._unwrap_tenant_key(tenant, id, wrapped))
            return found
        self._tenant_keys[tenant] = found = (id, AESGCM(secret))
        return found

    def _unwrap_tenant_key(self, tenant: TenantId, id: str, wrapped: bytes) -> AESGCM:
        """Raises WrongRootKey."""
        try:
            return AESGCM(self._root.decrypt(wrapped[:12], wrapped[12:], f"{tenant}|{id}".encode()))
        except InvalidTag as problem:
            raise WrongRootKey(
                "the root key does not open this data folder: set MUNIMENT_ROOT_KEY or MUNIMENT_ROOT_KEY_FILE to "
                "the key it was made with, or put the folder's own root.key back"
            ) from problem

    def bring(self, change: RingChange, tenant: TenantId, keys: NewKeys) -> None:
        """These keys and handles come into being with the commit that the change belongs to."""
        if keys.keys and tenant in self._unwritten_tenants:
            change.add_tenant_key(tenant, *self._unwritten_tenants[tenant])
        for id, (subject, wrapped) in keys.keys.items():
            change.add_data_key(tenant, id, subject, wrapped)
        for handle, lookup in keys.handles.items():
            change.add_handle(tenant, handle, lookup)

    def came(self, change: RingChange) -> None:
        """After the commit: what came into being needs no more bringing, and what was destroyed is forgotten."""
        for tenant in change.tenant_keys:
            self._unwritten_tenants.pop(tenant, None)
        for id in change.data_keys:
            if key := self._by_id.get(id):
                key.unwritten = None
        for tenant, subject, handles in change.destroyed:
            self.epoch += 1
            ids = self._forget(tenant, subject, frozenset(handles))
            self._gone.update(dict.fromkeys((*handles, *ids)))
            self._going.difference_update((*handles, (tenant, subject)))
        for _ in range(len(self._gone) - MOST_GONE):
            del self._gone[next(iter(self._gone))]
        for id in change.spent:
            if spent := self._by_id.pop(id, None):
                self._by_subject.pop((spent.tenant, spent.subject), None)

    def is_over(self, tenant: TenantId, keys: NewKeys) -> bool:
        """Whether something of these was destroyed since, or can't be opened by the tenant's key as it is now."""
        if keys.tenant_key is not None:
            now = self._tenant_keys.get(tenant)
            if now is not None and now[0] != keys.tenant_key[0]:
                return True
        if not self._gone and not self._going:
            return False
        if any((tenant, subject) in self._going for subject, _ in keys.keys.values()):
            return True
        return any(each in self._gone or each in self._going for each in (*keys.handles, *keys.keys))

    def going(self, tenant: TenantId, subject: str, handles: Iterable[Handle]) -> None:
        """A command has been decided that destroys these; until its commit nothing may be built on them."""
        self._going.update((*handles, (tenant, subject)))

    def stay(self) -> None:
        """What was decided is not recorded after all."""
        self._going.clear()

    def _forget(self, tenant: TenantId, subject: str, handles: frozenset[Handle]) -> list[str]:
        """The ids of the data keys that were known."""
        self._by_subject.pop((tenant, subject), None)
        ids = [id for id, key in list(self._by_id.items()) if key.tenant == tenant and key.subject == subject]
        for id in ids:
            del self._by_id[id]
        for each in [each for each, handle in self._handles.items() if handle in handles]:
            del self._handles[each]
        return ids


def _bound(cache: dict[Any, Any]) -> None:
    """Keeps a cache within its size: the oldest go first."""
    if len(cache) > MOST_CACHED:
        for oldest in list(islice(cache, MOST_CACHED // 10)):
            del cache[oldest]
