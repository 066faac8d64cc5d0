"""The keyring of a partition that several nodes know: keys come with commands and commits of others, too."""

from cryptography.exceptions import InvalidTag

from adapters.fresh_ids import random_12
from adapters.index.ring import RingChange, short
from adapters.keyring import LOOKUP, Keyring, is_purpose
from domain.ids import TenantId
from domain.ledger import NewKeys


class SharedKeyring(Keyring):
    """Any node may make keys; only those count that the partition's owner has recorded."""

    def adopt(self, tenant: TenantId, keys: NewKeys) -> bool:
        """Take over what another node made for a command of this tenant; False if it contradicts what there is.

        Somebody may have two keys, and both open; what hashes values that must be found again may have only one.
        """
        theirs = keys.tenant_key
        has_key = self._tenant_keys.get(tenant) is not None or self._has_tenant_key(tenant)
        if theirs is None and keys.keys and not has_key:
            return False
        try:
            if theirs is not None and has_key:
                self._wrap_again(tenant, keys, *theirs)
        except InvalidTag:
            return False
        for handle, lookup in keys.handles.items():
            if self.known_handle(tenant, lookup) not in (None, handle):
                return False
        for id, (subject, _) in keys.keys.items():
            known = self._loaded_key(tenant, subject) if subject == LOOKUP or is_purpose(subject) else None
            if known is not None and known.id != id:
                return False
        if theirs is not None and not has_key:
            id, wrapped = theirs
            self._tenant_keys[tenant] = (id, self._unwrap_tenant_key(tenant, id, wrapped))
            self._unwritten_tenants[tenant] = theirs
        for id, (subject, wrapped) in keys.keys.items():
            if id not in self._by_id:
                known = self._loaded_key(tenant, subject)
                self._unwrap(id, tenant, subject, wrapped).unwritten = (subject, wrapped)
                if known is not None and known.unwritten is None:
                    self._by_subject[tenant, subject] = known
        for handle, lookup in keys.handles.items():
            self._handles[tenant, lookup] = handle
            self._seen.add(short(lookup))
        return True

    def unrecorded(self, tenant: TenantId) -> RingChange:
        """What was made here for a tenant, was never needed, and stands in the way of what others make."""
        change = RingChange()
        if (own := self._unwritten_tenants.get(tenant)) is not None:
            change.add_tenant_key(tenant, *own)
        for key in self._by_id.values():
            hashes = key.subject == LOOKUP or is_purpose(key.subject)
            if key.tenant == tenant and key.unwritten is not None and hashes:
                change.add_data_key(tenant, key.id, *key.unwritten)
        return change

    def followed(self, change: RingChange) -> None:
        """What another node's commit brought, now in the index: what was made here and never recorded gives way."""
        for tenant, id, _ in change.tenant_keys.values():
            self._unwritten_tenants.pop(tenant, None)
            if (cached := self._tenant_keys.get(TenantId(tenant))) and cached[0] != id:
                del self._tenant_keys[TenantId(tenant)]
                self._forget_unwritten(tenant)
        for tenant, id, subject, _ in change.data_keys.values():
            made = self._by_subject.get((tenant, subject))
            if made is not None and made.unwritten is not None:
                if made.id == id:
                    made.unwritten = None
                else:
                    self._by_subject.pop((tenant, subject), None)
                    self._by_id.pop(made.id, None)
        for tenant, handle, lookup, value in change.handles.values():
            self._seen.add(value)
            if (tenant, lookup) in self._handles:
                self._handles[tenant, lookup] = handle
        self.came(change)

    def _has_tenant_key(self, tenant: TenantId) -> bool:
        return self._database.one("SELECT 1 FROM tenant_keys WHERE tenant = ?", (tenant,)) is not None

    def _wrap_again(self, tenant: TenantId, keys: NewKeys, id: str, wrapped: bytes) -> None:
        """Under the key that the tenant has here: another node made one too, and only one will be recorded."""
        own, ours = self._tenant_key(tenant)
        if own == id:
            return
        theirs = self._unwrap_tenant_key(tenant, id, wrapped)
        for key, (subject, secret) in list(keys.keys.items()):
            bound, nonce = f"{tenant}|{subject}|{key}".encode(), random_12()
            opened = theirs.decrypt(secret[:12], secret[12:], bound)
            keys.keys[key] = (subject, nonce + ours.encrypt(nonce, opened, bound))
        keys.tenant_key = self._unwritten_tenants.get(tenant)

    def _forget_unwritten(self, tenant: str) -> None:
        """Data keys that were made here under a tenant's key that will never be recorded."""
        for key in [each for each in self._by_id.values() if each.tenant == tenant and each.unwritten is not None]:
            del self._by_id[key.id]
            if self._by_subject.get((tenant, key.subject)) is key:
                del self._by_subject[tenant, key.subject]
