"""A load whose node goes away: one sentence, and not sixteen."""

import pytest

from api.cli.printing import Failed
from api.demo.loading import _at_a_time


async def test_what_fails_everywhere_at_once_is_said_once() -> None:
    async def act(_: int) -> None:
        raise Failed("the node does not answer any more")

    with pytest.raises(Failed, match="does not answer any more"):
        await _at_a_time(range(100), act)
