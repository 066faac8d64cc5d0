"""The book: attempts in order, kept for days; if it is damaged it is begun anew."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from adapters.webhooks import book as adapters_book
from adapters.webhooks.book import KEPT, Attempt, Book, Place
from domain.ids import TenantId, WebhookId

HERE, THERE = TenantId("ten_here"), TenantId("ten_there")
HOOK, OTHER = WebhookId("whk_one"), WebhookId("whk_two")


def attempt(position: int, began_at: int = 1, delivered: bool = True) -> Attempt:
    return Attempt(position, "018b", "UserProvisioned", "event", 1, began_at, 2, delivered, 204, "delivered", None)


async def positions(book: Book, tenant: TenantId = HERE, hook: WebhookId = HOOK, **asked: int) -> list[int]:
    wanted = {"position": None, "before": 1 << 62, "limit": 1000, **asked}
    found = await book.attempts(tenant, hook, **wanted)  # type: ignore[arg-type]
    return [each.position for each in found]


@pytest.fixture
async def book(tmp_path: Path) -> AsyncIterator[Book]:
    opened = Book(tmp_path / "webhooks.db")
    yield opened
    await opened.close()


async def test_attempts_are_told_newest_first_by_the_page_and_of_one_webhook(book: Book) -> None:
    for position in range(1, 8):
        await book.note(HERE, HOOK, Place(1, position), attempt(position))
    await book.note(HERE, OTHER, Place(1, 9), attempt(9))
    await book.note(THERE, HOOK, Place(1, 10), attempt(10))
    assert await positions(book) == [7, 6, 5, 4, 3, 2, 1]
    page = await book.attempts(HERE, HOOK, position=None, before=1 << 62, limit=3)
    assert await positions(book, before=page[-1].number, limit=2) == [4, 3]
    assert await positions(book, position=5) == [5]
    assert page[0] == msgspec.structs.replace(attempt(7), number=7)


async def test_a_place_is_the_last_that_was_noted(book: Book) -> None:
    place = Place(1, 2, 3, 4, 5, 6)
    assert await book.place(HERE, HOOK) is None
    await book.note(HERE, HOOK, Place(1, 1))
    await book.note(HERE, HOOK, place)
    assert await book.place(HERE, HOOK) == place
    assert await book.place(THERE, HOOK) is None


async def test_what_is_old_or_too_much_is_forgotten(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapters_book, "MOST_KEPT", 3)
    now = KEPT + 100
    for position, began_at in enumerate((50, 150, 151, 152, 153), 1):
        await book.note(HERE, HOOK, Place(1, position), attempt(position, began_at))
    await book.note(HERE, OTHER, Place(1, 9), attempt(9, 150))
    await book.prune(now)
    assert await positions(book) == [5, 4, 3]
    assert await positions(book, hook=OTHER) == [9]
    await book.forget(HERE, HOOK)
    assert await positions(book) == []
    assert await book.place(HERE, HOOK) is None
    assert await positions(book, hook=OTHER) == [9]


async def test_a_damaged_book_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "webhooks.db"
    path.write_bytes(b"this is no database, and long enough that nobody could take it for an empty one" * 100)
    book = Book(path)
    await book.note(HERE, HOOK, Place(1, 1), attempt(1))
    assert await positions(book) == [1]
    await book.close()


async def test_a_book_that_can_not_be_written_stops_nothing(tmp_path: Path) -> None:
    book = Book(tmp_path / "webhooks.db")
    book._connection.execute("PRAGMA query_only = ON")
    await book.note(HERE, HOOK, Place(1, 1), attempt(1))
    assert await positions(book) == []
    await book.close()
