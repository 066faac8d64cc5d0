"""A directory: a feed that provisions a tenant's people over SCIM, with tokens of its own."""

from typing import assert_never

from domain.boundary import Boundary, about
from domain.command import Command, Decider, Known, Missing, Refused, Taken
from domain.event import Code, Event, Instant, Recorded, Sealed
from domain.ids import CredentialId, DirectoryId


class DirectoryCreated(Event):
    directory: DirectoryId
    name: Sealed
    provider: Code


class DirectoryRenamed(Event):
    directory: DirectoryId
    name: Sealed


class DirectoryRemoved(Event):
    """Its tokens open nothing any more; its people stay."""

    directory: DirectoryId


class DirectoryTokenIssued(Event):
    credential: CredentialId
    directory: DirectoryId
    secret_hash: bytes
    expires_at: Instant | None = None


class DirectoryTokenRevoked(Event):
    credential: CredentialId
    directory: DirectoryId


class CreateDirectory(Command):
    permission = "directories:manage"
    directory: DirectoryId
    name: Sealed
    provider: Code
    token: CredentialId
    secret_hash: bytes

    def boundary(self) -> Boundary:
        return life_of_directory(self.directory) | life_of_token(self.token)


class RenameDirectory(Command):
    permission = "directories:manage"
    directory: DirectoryId
    name: Sealed

    def boundary(self) -> Boundary:
        return life_of_directory(self.directory)


class RemoveDirectory(Command):
    permission = "directories:manage"
    directory: DirectoryId

    def boundary(self) -> Boundary:
        return life_of_directory(self.directory)


class IssueDirectoryToken(Command):
    permission = "directories:manage"
    credential: CredentialId
    directory: DirectoryId
    secret_hash: bytes
    expires_at: Instant | None = None

    def boundary(self) -> Boundary:
        return life_of_directory(self.directory) | life_of_token(self.credential)


class RevokeDirectoryToken(Command):
    permission = "directories:manage"
    credential: CredentialId
    directory: DirectoryId

    def boundary(self) -> Boundary:
        return life_of_directory(self.directory) | life_of_token(self.credential)


FeedsCommand = CreateDirectory | RenameDirectory | RemoveDirectory | IssueDirectoryToken | RevokeDirectoryToken


def life_of_directory(directory: DirectoryId) -> Boundary:
    """Whether a directory exists."""
    return about(directory, DirectoryCreated, DirectoryRenamed, DirectoryRemoved)


def life_of_token(token: CredentialId) -> Boundary:
    """Whether a directory's token opens it."""
    return about(token, DirectoryTokenIssued, DirectoryTokenRevoked)


class KnownFeed(Known):
    """A directory's life and name, and one token's."""

    def __init__(self, now: Instant) -> None:
        super().__init__(now)
        self.life = "none"
        self.name: Sealed | None = None
        self.token: DirectoryId | None = None
        """The directory that the token was issued for."""
        self.revoked = False

    def evolve(self, recorded: Recorded) -> None:
        match recorded.event:
            case DirectoryCreated(name=name):
                self.life, self.name = "active", name
            case DirectoryRenamed(name=name):
                self.name = name
            case DirectoryRemoved():
                self.life = "removed"
            case DirectoryTokenIssued(directory=directory):
                self.token = directory
            case DirectoryTokenRevoked():
                self.revoked = True

    def exists(self) -> None:
        if self.life != "active":
            raise Missing("the directory does not exist")

    def token_is_new(self) -> None:
        if self.token is not None:
            raise Taken("the token exists already")


def decide(command: FeedsCommand, known: KnownFeed) -> list[Event]:
    match command:
        case CreateDirectory(directory, name, provider, token, secret_hash):
            if known.life != "none":
                raise Taken("the directory exists already")
            known.token_is_new()
            return [
                DirectoryCreated(directory, name, provider),
                DirectoryTokenIssued(token, directory, secret_hash),
            ]
        case RenameDirectory(directory, name):
            known.exists()
            return [] if name.same_as(known.name) else [DirectoryRenamed(directory, name)]
        case RemoveDirectory(directory):
            known.exists()
            return [DirectoryRemoved(directory)]
        case IssueDirectoryToken(credential, directory, secret_hash, expires_at):
            known.exists()
            known.token_is_new()
            if expires_at is not None and expires_at <= known.now:
                raise Refused("the token's end is not in the future")
            return [DirectoryTokenIssued(credential, directory, secret_hash, expires_at)]
        case RevokeDirectoryToken(credential, directory):
            known.exists()
            if known.token != directory:
                raise Missing("the directory has no such token")
            return [] if known.revoked else [DirectoryTokenRevoked(credential, directory)]
        case _:
            assert_never(command)


decider = Decider(
    commands=(CreateDirectory, RenameDirectory, RemoveDirectory, IssueDirectoryToken, RevokeDirectoryToken),
    begin=KnownFeed,
    decide=decide,
)
