"""The embedded sequencer keeps the contract, on a file and in memory."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.embedded.full_disk_contract import FullDiskContract
from tests.adapters.index.clock_contract import ClockContract
from tests.adapters.index.logs import Log, Open, running
from tests.adapters.index.retries_contract import RetriesContract
from tests.adapters.index.sequencer_contract import SequencerContract


class TestOnAFile(SequencerContract, RetriesContract, ClockContract, FullDiskContract):
    @pytest.fixture
    def open_log(self, tmp_path: Path) -> Open:
        def opening(**options: Any) -> AbstractAsyncContextManager[Log]:
            return running(tmp_path, **options)

        return opening


class TestInMemory(SequencerContract, RetriesContract, ClockContract, FullDiskContract):
    @pytest.fixture
    def open_log(self) -> Open:
        def opening(**options: Any) -> AbstractAsyncContextManager[Log]:
            return running(None, **options)

        return opening
