"""Directories: feeds with tokens of their own, which end with them."""

import pytest

from domain.command import Command, Missing, Refused, Taken
from domain.directory.feeds import (
    CreateDirectory,
    DirectoryCreated,
    DirectoryRemoved,
    DirectoryRenamed,
    DirectoryTokenIssued,
    DirectoryTokenRevoked,
    IssueDirectoryToken,
    RemoveDirectory,
    RenameDirectory,
    RevokeDirectoryToken,
)
from domain.event import Code
from tests.domain.given import LATER, NOW, given
from tests.domain.people import ENTRA, OKTA, OTHER_TOKEN, TOKEN, feed, sealed, token

NAME, OTHER = sealed(OKTA, "okta"), sealed(OKTA, "Okta of the crew")
THERE = feed(OKTA), token(TOKEN, OKTA)
REMOVED = DirectoryRemoved(OKTA)
CREATE = CreateDirectory(OKTA, NAME, Code("okta"), TOKEN, b"hash")


def test_a_directory_is_created_with_a_token() -> None:
    given().when(CREATE).then(
        DirectoryCreated(OKTA, NAME, Code("okta")),
        DirectoryTokenIssued(TOKEN, OKTA, b"hash"),
    )


def test_a_directory_is_created_once() -> None:
    given(*THERE).when(CREATE).then_refused("the directory exists already", Taken)
    given(*THERE, REMOVED).when(CREATE).then_refused("the directory exists already", Taken)


def test_a_new_directory_takes_no_other_directorys_token() -> None:
    given(feed(ENTRA), token(TOKEN, ENTRA)).when(CREATE).then_refused("the token exists already", Taken)


def test_a_directory_is_renamed() -> None:
    given(*THERE).when(RenameDirectory(OKTA, OTHER)).then(DirectoryRenamed(OKTA, OTHER))
    given(*THERE).when(RenameDirectory(OKTA, NAME)).then_nothing()
    given(*THERE, DirectoryRenamed(OKTA, OTHER)).when(RenameDirectory(OKTA, OTHER)).then_nothing()


def test_a_directory_is_removed() -> None:
    given(*THERE).when(RemoveDirectory(OKTA)).then(REMOVED)


def test_a_directory_gets_more_tokens() -> None:
    issued = DirectoryTokenIssued(OTHER_TOKEN, OKTA, b"hash", LATER)
    given(*THERE).when(IssueDirectoryToken(OTHER_TOKEN, OKTA, b"hash", LATER)).then(issued)


def test_a_token_is_issued_once_even_after_it_was_revoked() -> None:
    again = IssueDirectoryToken(TOKEN, OKTA, b"other")
    given(*THERE).when(again).then_refused("the token exists already", Taken)
    given(*THERE, DirectoryTokenRevoked(TOKEN, OKTA)).when(again).then_refused("the token exists already", Taken)
    given(feed(OKTA), feed(ENTRA), token(TOKEN, ENTRA)).when(again).then_refused("the token exists already", Taken)


def test_a_token_does_not_begin_expired() -> None:
    given(*THERE).when(IssueDirectoryToken(OTHER_TOKEN, OKTA, b"hash", NOW)).then_refused("not in the future", Refused)


def test_a_token_is_revoked_once() -> None:
    revoke, revoked = RevokeDirectoryToken(TOKEN, OKTA), DirectoryTokenRevoked(TOKEN, OKTA)
    given(*THERE).when(revoke).then(revoked)
    given(*THERE, revoked).when(revoke).then_nothing()


def test_only_a_directorys_own_token_is_revoked() -> None:
    revoke = RevokeDirectoryToken(TOKEN, OKTA)
    given(feed(OKTA), feed(ENTRA), token(TOKEN, ENTRA)).when(revoke).then_refused("no such token", Missing)
    given(feed(OKTA)).when(revoke).then_refused("no such token", Missing)


@pytest.mark.parametrize(
    "command",
    [
        RenameDirectory(OKTA, OTHER),
        RemoveDirectory(OKTA),
        IssueDirectoryToken(OTHER_TOKEN, OKTA, b"hash"),
        RevokeDirectoryToken(TOKEN, OKTA),
    ],
    ids=lambda command: type(command).__name__,
)
def test_a_directory_that_is_not_there_can_not_be_changed(command: Command) -> None:
    given().when(command).then_refused("the directory does not exist", Missing)
    given(*THERE, REMOVED).when(command).then_refused("the directory does not exist", Missing)
