"""What scim2-tester says of a running node."""

import httpx2
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server

from tests.api.protocols.provisioning import Provider
from tests.node import PATIENCE

GOOD = {Status.SUCCESS, Status.COMPLIANT, Status.ACCEPTABLE}


def test_scim2_tester_finds_nothing_to_object_to_and_skips_nothing(provider: Provider) -> None:
    headers = {"Authorization": f"Bearer {provider.token}"}
    with httpx2.Client(base_url=provider.url, headers=headers, timeout=PATIENCE) as http:
        results = check_server(SyncSCIMClient(http))
    objections = [(each.title, each.status, each.reason) for each in results if each.status not in GOOD]
    assert objections == []
    asked = {each.title for each in results}
    assert {"object_replacement", "check_remove_attribute", "search_with_attributes", "random_url"} <= asked
    assert {each.resource_type for each in results} >= {"User", "Group"}


def test_patch_filter_sort_and_etag_are_announced_and_nothing_that_is_not_there(provider: Provider) -> None:
    told = provider.found("/ServiceProviderConfig")
    announced = {name for name, said in told.items() if isinstance(said, dict) and said.get("supported")}
    assert announced == {"patch", "filter", "sort", "etag"}
