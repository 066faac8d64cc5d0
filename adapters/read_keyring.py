"""The keyring as it is read beside the node that writes it: what that node destroys is forgotten here too, soon."""

from adapters.index.database import Database
from adapters.keyring import Keyring


class ReadKeyring(Keyring):
    """Makes nothing that lasts. Call `forget_destroyed` at least once a second."""

    def __init__(self, database: Database, root_key: bytes) -> None:
        super().__init__(database, root_key)
        self._read_from = database

    def forget_destroyed(self) -> bool:
        """Forget every key if any was destroyed since; whether one was."""
        (epoch,) = self._read_from.one("SELECT coalesce(max(number), 0) FROM destructions", ())
        if epoch == self.epoch:
            return False
        self.epoch = epoch
        for known in (self._by_subject, self._by_id, self._handles):
            known.clear()
        return True
