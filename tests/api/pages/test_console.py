"""The console over HTTP: who is let in, what a session opens, and what no page may do."""

import re
from collections.abc import Iterator
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from api.pages.sessions import FORM, SESSION
from tests.api.organisation import Organisation, organisation
from tests.node import PATIENCE, NodeProcess, until

TOKEN = re.compile(r'name="form_token" value="([0-9a-f]{64})"')
INLINE = re.compile(r'<script(?! type="module" src=)|<style|\sstyle=|\son[a-z]+=|https?://')
SECTIONS = ("users", "groups", "roles", "keys", "flags", "settings", "directories", "webhooks")


class Browser:
    """What a browser without scripts does: cookies, redirects, and forms with what is hidden in them."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=PATIENCE, follow_redirects=True)

    def open(self, path: str) -> httpx.Response:
        return self.http.get(path)

    def token(self, path: str = "/console/sign-in") -> str:
        found = TOKEN.search(self.open(path).text)
        assert found
        return found[1]

    def send(self, path: str, form: dict[str, str], **headers: str) -> httpx.Response:
        return self.http.post(path, data=form, headers=headers)

    def sign_in(self, key: str, **form: str) -> httpx.Response:
        return self.send("/console/sign-in", {"form_token": self.token(), "key": key, **form})


@pytest.fixture(scope="module")
def mine(node: NodeProcess) -> Organisation:
    return organisation(node, "On Pages")


@pytest.fixture(scope="module")
def theirs(node: NodeProcess) -> Organisation:
    return organisation(node, "Elsewhere")


@pytest.fixture
def browser(node: NodeProcess) -> Iterator[Browser]:
    opened = Browser(node.url)
    with opened.http:
        yield opened


@pytest.fixture
def operator(browser: Browser, node: NodeProcess) -> Browser:
    assert browser.sign_in(node.operator_key).status_code == 200
    return browser


@pytest.fixture
def member(browser: Browser, mine: Organisation) -> Browser:
    assert browser.sign_in(mine.key).status_code == 200
    return browser


def pages_of(organisation: Organisation) -> list[str]:
    """Every page of a tenant that is opened by its address."""
    ids, base = organisation.ids, f"/console/tenants/{organisation.ids['tenant']}"
    things = (("users", "user"), ("groups", "group"), ("roles", "role"), ("keys", "key"), ("flags", "flag"))
    return [
        base,
        f"{base}/trail",
        f"{base}/events/1",
        f"{base}/events/1?why=1",
        *(f"{base}/state/{each}" for each in SECTIONS),
        *(f"{base}/state/{section}/{ids[name]}" for section, name in things),
        f"{base}/state/roles/rol_owner",
        f"{base}/diff",
        f"{base}/diff?from=1",
        f"{base}/blast-radius",
        f"{base}/blast-radius?of={ids['key']}",
        f"{base}/incident",
        f"{base}/incident?of={ids['key']}",
        f"{base}/evidence",
        f"{base}/checks",
    ]


def issued(node: NodeProcess, tenant: str, *permissions: str) -> dict[str, str]:
    with node.client() as client:
        answer = client.post(f"/v1/tenants/{tenant}/keys", json={"permissions": list(permissions)})
    assert answer.status_code == 201, answer.text
    found: dict[str, str] = answer.json()
    return found


def test_who_has_not_signed_in_is_asked_to_and_comes_back_to_the_page(node: NodeProcess, mine: Organisation) -> None:
    page = f"/console/tenants/{mine.ids['tenant']}/trail?type=UserProvisioned&from=1"
    with Browser(node.url).http as http:
        answer = http.get(page, follow_redirects=False)
        assert answer.status_code == 303
        asked = urlsplit(answer.headers["location"])
        assert asked.path == "/console/sign-in"
        assert parse_qs(asked.query) == {"next": [page]}
    browser = Browser(node.url)
    with browser.http:
        found = browser.sign_in(mine.key, next=page)
        assert str(found.url) == node.url + page
        assert "User provisioned" in found.text


def test_the_session_is_a_cookie_that_no_script_and_no_other_site_gets(browser: Browser, mine: Organisation) -> None:
    form = {"form_token": browser.token(), "key": mine.key}
    answer = browser.http.post("/console/sign-in", data=form, follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/console"
    cookie = next(each for each in answer.headers.get_list("set-cookie") if each.startswith(SESSION))
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Path=/console" in cookie
    assert 0 < int(re.findall(r"Max-Age=(\d+)", cookie)[0]) <= 8 * 3600
    assert "Secure" not in cookie  # this node is reached over plain HTTP
    assert mine.key not in cookie


def test_every_page_opens_with_headers_that_keep_it_to_itself_and_without_the_key(
    operator: Browser, node: NodeProcess, mine: Organisation
) -> None:
    deployment = [
        f"/console/tenants/_deployment/{each}" for each in ("trail", "state/flags", "diff?from=1", "evidence")
    ]
    for page in ["/console/tenants", "/console/audit", *pages_of(mine), *deployment]:
        answer = operator.open(page)
        assert answer.status_code == 200, (page, answer.status_code, answer.text[-2000:])
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert node.operator_key not in answer.text
        assert not INLINE.search(strip(answer.text)), page
        assert answer.text.count("<h1") == 1


def strip(text: str) -> str:
    """Without what people chose, which is escaped, and addresses that are told."""
    return re.sub(r"<(bdi|code|pre)[ >].*?</\1>|data-copy=\"[^\"]*\"|xmlns=\"[^\"]*\"", "", text, flags=re.DOTALL)


def test_a_key_of_a_tenant_is_led_to_its_tenant_and_an_operator_to_all(
    node: NodeProcess, mine: Organisation, theirs: Organisation
) -> None:
    for key, path in ((mine.key, f"/console/tenants/{mine.ids['tenant']}"), (node.operator_key, "/console/tenants")):
        browser = Browser(node.url)
        with browser.http:
            assert browser.sign_in(key).url.path == path
            assert browser.open("/console").url.path == path


def test_another_tenants_pages_are_not_there(member: Browser, theirs: Organisation) -> None:
    for page in pages_of(theirs):
        answer = member.open(page)
        assert answer.status_code == 404, (page, answer.status_code)
        assert "Elsewhere" not in answer.text
        assert theirs.ids["tenant"] not in answer.text.replace(page, "")


def test_another_tenants_ids_find_nothing_on_ones_own_pages(
    member: Browser, mine: Organisation, theirs: Organisation
) -> None:
    own = mine.ids["tenant"]
    for page in pages_of(theirs):
        if "/state/" in page and page.count("/") > 5 and "rol_owner" not in page:
            assert member.open(page.replace(theirs.ids["tenant"], own)).status_code == 404, page


@pytest.mark.parametrize("page", ["/console/tenants", "/console/audit"])
def test_what_is_of_the_deployment_is_for_operators(member: Browser, page: str) -> None:
    answer = member.open(page)
    assert answer.status_code == 403
    assert "only operators may do this" in answer.text.lower()


def test_every_page_needs_the_permission_of_what_it_reads(node: NodeProcess, mine: Organisation) -> None:
    key = issued(node, mine.ids["tenant"], "flags:read")["key"]
    browser = Browser(node.url)
    with browser.http:
        assert browser.sign_in(key).url.path.endswith("/state/flags")
        for page in pages_of(mine):
            expected = 200 if "/state/flags" in page else 403
            answer = browser.open(page)
            assert answer.status_code == expected, (page, answer.status_code)
            if expected == 403:
                assert "the key does not have" in answer.text.lower()
        places = re.findall(r'<nav class="places".*?</nav>', browser.open(pages_of(mine)[0]).text, re.DOTALL)[0]
        assert "State" in places
        assert "Trail" not in places


def test_a_refusal_on_a_page_is_recorded_as_the_apis_are(node: NodeProcess, mine: Organisation) -> None:
    tenant = mine.ids["tenant"]
    made = issued(node, tenant, "flags:read")
    browser = Browser(node.url)
    with browser.http, node.client() as client:
        browser.sign_in(made["key"])
        assert browser.open(f"/console/tenants/{tenant}/trail").status_code == 403
        found = client.get(f"/v1/tenants/{tenant}/trail", params={"actor": made["id"]}).json()["items"]
    assert [each["type"] for each in found] == ["CommandRefused"]
    assert found[0]["authority"]["permission"] == "audit:read"


def test_a_key_that_reads_nothing_is_told_so(node: NodeProcess, mine: Organisation) -> None:
    browser = Browser(node.url)
    with browser.http:
        answer = browser.sign_in(issued(node, mine.ids["tenant"], "flags:evaluate")["key"])
        assert answer.status_code == 200
        assert "This key reads nothing that has a page" in answer.text


def test_a_revoked_key_opens_no_page_any_more(node: NodeProcess, mine: Organisation) -> None:
    tenant = mine.ids["tenant"]
    made = issued(node, tenant, "flags:read")
    browser = Browser(node.url)
    with browser.http, node.client() as client:
        browser.sign_in(made["key"])
        assert browser.open(f"/console/tenants/{tenant}/state/flags").status_code == 200
        client.delete(f"/v1/tenants/{tenant}/keys/{made['id']}").raise_for_status()
        answer = until(lambda: _signed_out(browser, f"/console/tenants/{tenant}/state/flags"), "the session has ended")
        assert "Your session has ended" in answer.text
        assert SESSION not in browser.http.cookies


def _signed_out(browser: Browser, page: str) -> httpx.Response | None:
    answer = browser.open(page)
    return answer if answer.url.path == "/console/sign-in" else None


@pytest.mark.parametrize(
    "key",
    ["", "qq", "mun_opr_" + "a" * 49, "mun_key_" + "0" * 32 + "_" + "a" * 49, "<script>alert(1)</script>", "é" * 99],
)
def test_what_is_no_key_opens_nothing_and_is_not_told_back(browser: Browser, key: str) -> None:
    answer = browser.sign_in(key)
    assert answer.status_code == 401
    assert 'role="alert"' in answer.text
    if key:
        assert key not in unescape(answer.text)
    assert SESSION not in browser.http.cookies


def test_a_directorys_token_is_no_way_in(node: NodeProcess, browser: Browser, mine: Organisation) -> None:
    with node.client() as client:
        token = client.post(f"/v1/tenants/{mine.ids['tenant']}/directories", json={"name": "Other"}).json()["token"]
    answer = browser.sign_in(token)
    assert answer.status_code == 403
    assert SESSION not in browser.http.cookies


def test_signing_out_ends_the_session_in_the_browser(operator: Browser) -> None:
    token = operator.token("/console/tenants")
    answer = operator.send("/console/sign-out", {"form_token": token})
    assert answer.url.path == "/console/sign-in"
    assert SESSION not in operator.http.cookies
    assert operator.open("/console/tenants").url.path == "/console/sign-in"


def test_no_form_is_taken_without_its_token(operator: Browser, mine: Organisation) -> None:
    base = f"/console/tenants/{mine.ids['tenant']}"
    right = operator.token("/console/tenants")
    forms = (
        "/console/sign-out",
        "/console/checkpoint",
        "/console/verify",
        f"{base}/verify",
        f"{base}/incident.html",
        "/console/sign-in",
    )
    for path in forms:
        for form in ({"key": "x"}, {"form_token": ""}, {"form_token": "0" * 64}, {"form_token": right[::-1]}):
            answer = operator.send(path, form)
            assert answer.status_code == 403, (path, form, answer.status_code)
        assert operator.send(path, {"form_token": right}, **{"Sec-Fetch-Site": "cross-site"}).status_code == 403
        assert operator.http.post(path, json={"form_token": right}).status_code == 415
        assert operator.http.post(path, content=b"a" * 9_000, headers=FORM_TYPE).status_code in (403, 413)
        assert operator.http.post(path, content=b"\xff=\xff", headers=FORM_TYPE).status_code in (400, 403)
        assert operator.http.post(path, content=b"&".join([b"a=b"] * 99), headers=FORM_TYPE).status_code == 400


FORM_TYPE = {"Content-Type": "application/x-www-form-urlencoded"}


def test_the_token_of_another_session_is_not_taken(node: NodeProcess, operator: Browser) -> None:
    other = Browser(node.url)
    with other.http:
        other.sign_in(node.operator_key)
        foreign = other.token("/console/tenants")
    assert operator.send("/console/sign-out", {"form_token": foreign}).status_code == 403


def test_a_session_opens_nothing_of_the_api_and_a_key_in_a_header_no_page(
    operator: Browser, node: NodeProcess, mine: Organisation
) -> None:
    session = operator.http.cookies[SESSION]
    answer = httpx.get(f"{node.url}/v1/tenants", headers={"Cookie": f"{SESSION}={session}"})
    assert answer.status_code == 401
    answer = httpx.get(f"{node.url}/console/tenants", headers={"Authorization": f"Bearer {node.operator_key}"})
    assert answer.status_code == 303


def test_a_broken_cookie_leads_to_signing_in(node: NodeProcess) -> None:
    for value in ("x", "A" * 2_000, '"', "a=b=c", "%00"):
        answer = httpx.get(f"{node.url}/console/tenants", headers={"Cookie": f"{SESSION}={value}; {FORM}=x"})
        assert answer.status_code == 303


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/console/../v1",
        "/consolex",
        "/console\n",
        "javascript:x",
    ],
)
def test_signing_in_leads_to_our_pages_alone(browser: Browser, mine: Organisation, elsewhere: str) -> None:
    form = {"form_token": browser.token(), "key": mine.key, "next": elsewhere}
    answer = browser.http.post("/console/sign-in", data=form, follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/console"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/console/nothing-here", 404),
        ("/console/tenants/ten_0/trail", 422),
        ("/console/tenants/ten_" + "0" * 32 + "/trail", 404),
        ("{base}/events/0", 422),
        ("{base}/events/99999999", 404),
        ("{base}/state/nothing", 404),
        ("{base}/state/users?as_of=later", 400),
        ("{base}/state/users?as_of=99999999", 404),
        ("{base}/state/users?cursor=forged", 400),
        ("{base}/state/users/usr_" + "0" * 32, 404),
        ("{base}/trail?type=Nothing", 422),
        ("{base}/trail?actor=%3Cscript%3E", 422),
        ("{base}/trail?from=yesterday", 422),
        ("{base}/trail?from=2026-02-31", 422),
        ("{base}/trail?cursor=forged", 422),
        ("{base}/diff?from=x", 422),
        ("{base}/diff?from=9&to=1", 422),
        ("{base}/blast-radius?of=x", 422),
        ("{base}/incident?of=x", 422),
        ("{base}/incident?of=usr_" + "0" * 32 + "&from=yesterday", 422),
        ("{base}/evidence/bundle", 422),
        ("{base}/evidence/bundle?position=99999999", 404),
        ("/console/%2e%2e", 404),
        ("/console/tenants?limit=0", 422),
    ],
)
def test_what_goes_wrong_is_told_as_a_page(operator: Browser, mine: Organisation, path: str, status: int) -> None:
    answer = operator.open(path.format(base=f"/console/tenants/{mine.ids['tenant']}"))
    assert answer.status_code == status, answer.text[-1500:]
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "content-security-policy" in answer.headers
    assert "<h1" in answer.text
    assert "<script>" not in answer.text


def test_empty_fields_of_a_form_are_as_if_they_were_not_sent(member: Browser, mine: Organisation) -> None:
    base = f"/console/tenants/{mine.ids['tenant']}"
    empty = "type=&actor=&subject=&from=&to=&tag=&correlation=&order=&text=&credential=&address="
    assert member.open(f"{base}/trail?{empty}").status_code == 200
    assert member.open(f"{base}/state/users?as_of=&time=").status_code == 200


def test_the_trail_finds_what_the_api_finds(member: Browser, mine: Organisation) -> None:
    base, user = f"/console/tenants/{mine.ids['tenant']}", mine.ids["user"]
    answer = member.open(f"{base}/trail?subject={user}&order=oldest")
    found = re.findall(r'class="position">(\d+)<', answer.text)
    with httpx.Client(headers={"Authorization": f"Bearer {mine.key}"}, timeout=PATIENCE) as client:
        wanted = client.get(
            f"{str(member.http.base_url).rstrip('/')}/v1/tenants/{mine.ids['tenant']}/trail",
            params={"subject": user, "order": "oldest"},
        ).json()["items"]
    assert [int(each) for each in found] == [each["position"] for each in wanted]
    assert "Someone" in answer.text


def test_the_state_is_that_of_the_moment(member: Browser, mine: Organisation) -> None:
    base = f"/console/tenants/{mine.ids['tenant']}"
    now = member.open(f"{base}/state/users")
    assert "Someone" in now.text
    then = member.open(f"{base}/state/users?as_of=1")
    assert "Someone" not in then.text
    assert "No users at that moment" in then.text
    jumped = member.open(f"{base}/state?time=2999-01-01T00:00:00")
    assert jumped.status_code == 422
    before = member.open(f"{base}/state/users?time=2020-01-01T00:00")
    assert before.url.query == b"as_of=2020-01-01T00%3A00%3A00Z"
    assert "No users at that moment" in before.text


def test_a_comparison_tells_what_came_and_by_whom(member: Browser, mine: Organisation) -> None:
    answer = member.open(f"/console/tenants/{mine.ids['tenant']}/diff?from=1&to=2")
    assert "User provisioned" in answer.text
    assert 'class="badge badge-new"' in answer.text


def test_a_verification_is_made_and_told(operator: Browser, mine: Organisation) -> None:
    base = f"/console/tenants/{mine.ids['tenant']}"
    token = operator.token(f"{base}/checks")
    answer = until(lambda: _verified(operator, f"{base}/verify", token), "the tenant was verified")
    assert "Everything holds" in answer.text


def test_the_whole_log_is_verified_and_what_a_node_finds_all_the_time_is_told(operator: Browser) -> None:
    token = operator.token("/console/audit")
    answer = operator.send("/console/verify", {"form_token": token})
    assert answer.status_code == 200
    assert "The log holds" in answer.text
    assert "Nothing is known to be wrong" in answer.text


def _verified(browser: Browser, path: str, token: str) -> httpx.Response | None:
    answer = browser.send(path, {"form_token": token})
    return answer if answer.status_code == 200 else None


def test_a_checkpoint_a_bundle_and_a_report_can_be_taken(operator: Browser, mine: Organisation) -> None:
    base = f"/console/tenants/{mine.ids['tenant']}"
    token = operator.token(f"{base}/evidence")
    assert operator.send("/console/checkpoint", {"form_token": token, "back": mine.ids["tenant"]}).status_code == 200
    evidence = operator.open(f"{base}/evidence")
    assert "The signed note" in evidence.text
    bundle = operator.open(f"{base}/evidence/bundle?position=1")
    assert bundle.headers["content-disposition"].startswith("attachment")
    assert bundle.json()
    form = {"form_token": token, "of": mine.ids["key"], "from": "1"}
    report = operator.send(f"{base}/incident.html", form)
    assert report.status_code == 200, report.text[-500:]
    assert report.headers["content-disposition"].startswith("attachment")
    assert "<html" in report.text


def test_static_files_answer_to_anybody_and_for_long(node: NodeProcess) -> None:
    page = httpx.get(f"{node.url}/console/sign-in").text
    for path in re.findall(r'(?:href|src)="(/console/static/[^"]+)"', page):
        answer = httpx.get(node.url + path)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        assert httpx.get(node.url + path.replace("/static/", "/static/x")).headers["cache-control"] == "no-cache"
    assert httpx.get(f"{node.url}/console/static/x/..%2f__init__.py").status_code == 404
    assert httpx.get(f"{node.url}/console/static/x/none.css").status_code == 404


def test_the_pages_are_no_part_of_the_apis_document(node: NodeProcess) -> None:
    document: dict[str, Any] = httpx.get(f"{node.url}/openapi.json").json()
    assert not [path for path in document["paths"] if path.startswith("/console")]
