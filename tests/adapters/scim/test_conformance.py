"""What scim2-tester says of a server that is only the codec."""

from scim2_client.engines.wsgi import WSGISCIMClient
from scim2_tester import Status, check_server

from tests.adapters.scim.door import BASE, Door

GOOD = {Status.SUCCESS, Status.COMPLIANT, Status.ACCEPTABLE}


def test_scim2_tester_finds_nothing_to_object_to() -> None:
    results = check_server(WSGISCIMClient(Door(), base_url=BASE))
    objections = [(result.title, result.status, result.reason) for result in results if result.status not in GOOD]
    assert objections == []
    assert {"object_replacement", "check_remove_attribute", "search_with_attributes"} <= {one.title for one in results}
