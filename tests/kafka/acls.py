"""ACLs: what the users of a secured cluster may do."""

from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import AclBinding, AclBindingFilter, AclOperation, AclPermissionType
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType

from tests.node import PATIENCE, until


def allow(
    servers: str, user: str, kind: ResourceType, name: str, *operations: AclOperation, prefixed: bool = False
) -> None:
    """Returns when each broker of `servers`, which are the way in that may do everything, holds by it."""
    pattern = ResourcePatternType.PREFIXED if prefixed else ResourcePatternType.LITERAL
    about = (kind, name, pattern, f"User:{user}", "*")
    admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
    wanted = [AclBinding(*about, operation, AclPermissionType.ALLOW) for operation in operations]
    for done in admin.create_acls(wanted).values():
        done.result(PATIENCE)
    filters = [AclBindingFilter(*about, operation, AclPermissionType.ALLOW) for operation in operations]
    for address in servers.split(","):
        _wait_until_known(address, filters)


def _wait_until_known(address: str, filters: list[AclBindingFilter]) -> None:
    admin = AdminClient({"bootstrap.servers": address, "log_level": 0})
    until(lambda: all(admin.describe_acls(each).result(PATIENCE) for each in filters), "the ACLs")
