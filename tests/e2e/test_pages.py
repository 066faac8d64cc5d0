"""The console in a real browser: with and without scripts, in light and dark, on a desk and on a phone."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Route,
    ViewportSize,
    expect,
    sync_playwright,
)

from tests.node import PATIENCE, NodeProcess, running_node

pytestmark = pytest.mark.timeout(600)
MARKUP = "<script>alert('x')</script>"
TURNED = "\u202eevil\u202c"
HEBREW = "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd"
LONG = "a" * 250
DESK: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light", "viewport": DESK},
    "dark": {"color_scheme": "dark", "viewport": DESK},
    "phone": {"color_scheme": "light", "viewport": PHONE, "has_touch": True},
}
RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
}


class Place(NamedTuple):
    """A tenant whose people have names that pages could stumble over."""

    tenant: str
    user: str
    group: str
    key: str
    flag: str

    @property
    def base(self) -> str:
        return f"/console/tenants/{self.tenant}"

    def pages(self) -> list[str]:
        """Each kind of page, with and without something on it."""
        return [
            "/console/tenants",
            "/console/audit",
            self.base,
            f"{self.base}/trail",
            f"{self.base}/trail?text=nothing+at+all",
            f"{self.base}/trail?reads=hidden&order=oldest",
            f"{self.base}/events/2",
            f"{self.base}/events/3?why=1",
            *(f"{self.base}/state/{each}" for each in ("users", "groups", "roles", "keys", "flags", "settings")),
            f"{self.base}/state/directories",
            f"{self.base}/state/users?as_of=2",
            f"{self.base}/state/users/{self.user}",
            f"{self.base}/state/groups/{self.group}",
            f"{self.base}/state/keys/{self.key}",
            f"{self.base}/state/flags/{self.flag}",
            f"{self.base}/state/roles/rol_owner",
            f"{self.base}/diff",
            f"{self.base}/diff?from=1",
            f"{self.base}/blast-radius",
            f"{self.base}/blast-radius?of={self.key}",
            f"{self.base}/incident?of={self.key}",
            f"{self.base}/evidence",
            f"{self.base}/checks",
        ]

    def refused(self) -> list[str]:
        """Pages that say what is wrong."""
        return [
            f"{self.base}/trail?actor=nobody",
            f"{self.base}/events/99999999",
            f"{self.base}/diff?from=9&to=1",
            "/console/nothing-here",
        ]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with running_node(tmp_path_factory.mktemp("pages") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def place(node: NodeProcess) -> Place:
    with node.client() as operator:

        def make(path: str, body: dict[str, Any]) -> Any:
            answer = operator.post(path, json=body)
            assert answer.status_code in (200, 201), answer.text
            return answer.json()

        tenant = make("/v1/tenants", {"name": f"{MARKUP} {TURNED}"})["id"]
        base = f"/v1/tenants/{tenant}"
        users = [
            make(f"{base}/users", {"user_name": f"{name[:200]}@x", "display_name": name, "attributes": {"<b>": name}})
            for name in (MARKUP, TURNED, HEBREW, LONG)
        ]
        group = make(f"{base}/groups", {"display_name": f"{LONG[:200]} {MARKUP}"})["id"]
        role = make(f"{base}/roles", {"name": "keeper", "permissions": ["users:manage", "users:read", "keys:manage"]})
        everything = ["users:manage", "users:read", "keys:manage", "flags:manage", "flags:read"]
        stolen = make(f"{base}/keys", {"permissions": everything, "name": MARKUP})
        operator.put(f"{base}/settings/color", json={"value": MARKUP}).raise_for_status()
        make(f"{base}/directories", {"name": f"{TURNED} feed"})
        with node.client(stolen["key"]) as thief:
            for name in ("one", "two"):
                thief.post(f"{base}/users", json={"user_name": name, "display_name": name}).raise_for_status()
            thief.post(f"{base}/keys", json={"permissions": ["users:read"], "name": "More"}).raise_for_status()
            thief.post(f"{base}/roles", json={"name": "no", "permissions": []})
        flag = make(f"{base}/flags", {"key": "shiny", "description": MARKUP})["id"]
        operator.put(f"{base}/flags/{flag}/targets/{users[0]['id']}", json={"variant": "on"}).raise_for_status()
        operator.put(f"{base}/groups/{group}/members/{users[0]['id']}").raise_for_status()
        operator.put(f"{base}/roles/{role['id']}/assignments/{users[0]['id']}", json={}).raise_for_status()
        make("/v1/evidence/checkpoint", {})
    return Place(tenant, users[0]["id"], group, stolen["id"], flag)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's; nothing is fetched."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert program, "the pages are tested in Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=Path(program), args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        )
        yield browser
        browser.close()


class Visit:
    """A page of a browser, and everything that it complained of."""

    def __init__(self, node: NodeProcess, context: BrowserContext) -> None:
        context.set_default_timeout(PATIENCE * 1000)
        self.node = node
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(f"a dialog: {dialog.message}"))
        self.page.on("requestfailed", self._failed)
        self.page.on("request", self._asked)

    def _heard(self, message: ConsoleMessage) -> None:
        answered = "the server responded with a status of 4" in message.text
        if message.type in ("error", "warning") and not answered:
            self.complaints.append(message.text)

    def _failed(self, request: Any) -> None:
        """What becomes a download, or is asked for again, is aborted."""
        if request.failure != "net::ERR_ABORTED":
            self.complaints.append(f"{request.url} failed: {request.failure}")

    def _asked(self, request: Any) -> None:
        if not request.url.startswith(self.node.url):
            self.complaints.append(f"asked for {request.url}")

    def open(self, path: str) -> int:
        answer = self.page.goto(self.node.url + path)
        assert answer
        return answer.status

    def sign_in(self) -> None:
        self.open("/console")
        self.page.get_by_label("Key").fill(self.node.operator_key)
        self.page.get_by_role("button", name="Sign in").click()
        expect(self.page.get_by_role("heading", name="Tenants", exact=True)).to_be_visible()

    def is_for_everybody(self) -> None:
        """No violation of accessibility, and nothing sticks out of the window."""
        found = Axe().run(self.page, options=RULES)
        assert found.violations_count == 0, f"{self.page.url}\n{found.generate_report()}"
        wide = self.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        assert wide[0] <= wide[1], f"{self.page.url} is {wide[0]} wide in a window of {wide[1]}"


@pytest.fixture
def visit(node: NodeProcess, chromium: Browser) -> Iterator[Visit]:
    context = chromium.new_context(viewport=DESK)
    visiting = Visit(node, context)
    yield visiting
    context.close()
    assert visiting.complaints == []


@pytest.fixture
def plain(node: NodeProcess, chromium: Browser) -> Iterator[Visit]:
    """Without scripts."""
    context = chromium.new_context(viewport=DESK, java_script_enabled=False)
    visiting = Visit(node, context)
    yield visiting
    context.close()
    assert visiting.complaints == []


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("look", LOOKS)
def test_every_page_is_for_everybody(node: NodeProcess, place: Place, chromium: Browser, look: str) -> None:
    context = chromium.new_context(**LOOKS[look])
    visiting = Visit(node, context)
    visiting.open("/console")
    visiting.is_for_everybody()
    visiting.sign_in()
    for path in place.pages():
        assert visiting.open(path) == 200, path
        visiting.is_for_everybody()
    for path in place.refused():
        assert visiting.open(path) in (404, 422), path
        visiting.is_for_everybody()
    context.close()
    assert visiting.complaints == []


@pytest.mark.timeout(1800)
def test_every_page_works_without_scripts(plain: Visit, place: Place) -> None:
    plain.sign_in()
    for path in place.pages():
        assert plain.open(path) == 200, path
        expect(plain.page.locator("h1")).to_be_visible()
        expect(plain.page.locator("[data-copy]:visible, [data-zone]:visible")).to_have_count(0)


def test_the_slider_is_a_form_without_scripts(plain: Visit, place: Place) -> None:
    plain.sign_in()
    plain.open(f"{place.base}/state/users")
    slider = plain.page.get_by_label("Position in the history")
    slider.press("Home")
    plain.page.get_by_role("button", name="Show", exact=True).click()
    plain.page.wait_for_url("**/state/users?as_of=1")
    expect(plain.page.get_by_text("No users at that moment")).to_be_visible()
    plain.page.get_by_role("link", name="On one event").click()
    expect(plain.page.locator("table.list tbody tr")).to_have_count(1)
    plain.page.get_by_role("link", name="Now", exact=True).click()
    expect(plain.page.locator("table.list tbody tr")).to_have_count(6)


def test_the_slider_answers_while_it_moves(visit: Visit, place: Place) -> None:
    visit.sign_in()
    visit.open(f"{place.base}/state/users")
    visit.page.evaluate("window.stayed = true")
    visit.page.get_by_label("Position in the history").press("Home")
    expect(visit.page.get_by_text("No users at that moment")).to_be_visible()
    assert visit.page.url.endswith("/state/users?as_of=1")
    visit.page.get_by_label("Position in the history").press("ArrowRight")
    expect(visit.page.locator("[data-state] tbody tr")).to_have_count(1)
    expect(visit.page.locator(".head .count")).to_contain_text("as of position 2")
    assert visit.page.evaluate("window.stayed")
    visit.is_for_everybody()
    visit.page.get_by_role("link", name="Groups").click()
    visit.page.wait_for_url("**/state/groups?as_of=2")


def test_an_answer_that_comes_late_is_not_shown_over_a_newer_one(visit: Visit, place: Place) -> None:
    visit.sign_in()
    visit.open(f"{place.base}/state/users")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    visit.page.route("**/state/users?as_of=1", hold)
    slider = visit.page.get_by_label("Position in the history")
    with visit.page.expect_request("**/state/users?as_of=1"):
        slider.press("Home")
    slider.press("ArrowRight")
    expect(visit.page.locator(".head .count")).to_contain_text("as of position 2")
    assert len(held) == 1
    held[0].continue_()
    expect(visit.page.locator(".head .count")).to_contain_text("as of position 2")
    assert visit.page.url.endswith("?as_of=2")


def test_names_are_text_whatever_they_are(visit: Visit, place: Place) -> None:
    visit.sign_in()
    visit.open(f"{place.base}/state/users")
    for name in (MARKUP, TURNED, HEBREW, LONG):
        expect(visit.page.locator("bdi", has_text=name).first).to_be_attached()
    assert visit.page.evaluate("document.querySelectorAll('main script, main b').length") == 0
    assert "\u202e" not in visit.page.title()
    visit.open(f"{place.base}/trail?text=%3Cscript%3Ealert(1)%3C/script%3E%22")
    assert visit.page.get_by_label("Text").input_value() == '<script>alert(1)</script>"'


def test_times_are_told_in_utc_or_here(node: NodeProcess, place: Place, chromium: Browser) -> None:
    context = chromium.new_context(viewport=DESK, timezone_id="Asia/Kathmandu")
    visiting = Visit(node, context)
    visiting.sign_in()
    visiting.open(f"{place.base}/events/2")
    time = visiting.page.locator("main time").first
    expect(time).to_contain_text("Z")
    visiting.page.get_by_role("button", name="Times in UTC").click()
    expect(time).to_contain_text("+05:45")
    visiting.open(f"{place.base}/trail")
    expect(visiting.page.locator("main time").first).to_contain_text("+05:45")
    visiting.page.get_by_role("button", name="Times here").click()
    expect(visiting.page.locator("main time").first).to_contain_text("Z")
    context.close()
    assert visiting.complaints == []


def test_ids_can_be_copied(node: NodeProcess, place: Place, chromium: Browser) -> None:
    context = chromium.new_context(viewport=DESK, permissions=["clipboard-read", "clipboard-write"])
    visiting = Visit(node, context)
    visiting.sign_in()
    visiting.open(f"{place.base}/state/users/{place.user}")
    visiting.page.get_by_role("button", name="Copy the ID").click()
    assert visiting.page.evaluate("navigator.clipboard.readText()") == place.user
    context.close()
    assert visiting.complaints == []


def test_the_keyboard_reaches_the_content_first_and_all_of_it(visit: Visit, place: Place) -> None:
    visit.sign_in()
    visit.open(f"{place.base}/trail")
    visit.page.keyboard.press("Tab")
    expect(visit.page.get_by_role("link", name="Skip to the content")).to_be_focused()
    visit.page.keyboard.press("Enter")
    expect(visit.page.locator("main")).to_be_focused()
    visit.page.keyboard.press("Tab")
    expect(visit.page.get_by_label("Text")).to_be_focused()


def test_an_incident_is_followed_from_the_key_to_the_report(visit: Visit, place: Place) -> None:
    """In a few clicks: the key, its radius, the report, and the event with its proof."""
    visit.sign_in()
    visit.page.get_by_role("link", name=MARKUP).first.click()
    visit.page.get_by_role("navigation", name="Tenant").get_by_role("link", name="State").click()
    visit.page.get_by_role("navigation", name="State").get_by_role("link", name="Keys").click()
    visit.page.get_by_role("rowheader", name=MARKUP).get_by_role("link").click()
    visit.page.get_by_role("link", name="Blast radius").last.click()
    expect(visit.page.get_by_role("list", name="Events by type")).to_contain_text("2 User provisioned")
    expect(visit.page.get_by_role("list", name="Events by type")).to_contain_text("1 Command refused")
    expect(visit.page.get_by_role("img", name="A graph of")).to_be_visible()
    visit.page.get_by_role("link", name="Make an incident report of this").click()
    expect(visit.page.get_by_role("heading", name="Incident report")).to_be_visible()
    expect(visit.page.get_by_role("heading", name="Before and after")).to_be_visible()
    with visit.page.expect_download() as taken:
        visit.page.get_by_role("button", name="Take it as one file").click()
    assert taken.value.suggested_filename == f"incident-{place.tenant}.html"
    visit.page.get_by_role("rowheader", name="User provisioned").first.get_by_role("link").click()
    expect(visit.page.get_by_role("heading", name="Proof")).to_be_visible()
    with visit.page.expect_download() as taken:
        visit.page.get_by_role("link", name="Take its bundle").click()
    assert taken.value.suggested_filename.endswith(".muniment.json")


def test_the_report_that_is_taken_is_for_everybody_too(
    node: NodeProcess, place: Place, chromium: Browser, tmp_path: Path
) -> None:
    context = chromium.new_context(viewport=DESK)
    visiting = Visit(node, context)
    visiting.sign_in()
    visiting.open(f"{place.base}/incident?of={place.key}")
    with visiting.page.expect_download() as taken:
        visiting.page.get_by_role("button", name="Take it as one file").click()
    taken.value.save_as(tmp_path / "report.html")
    context.close()
    assert visiting.complaints == []
    text = (tmp_path / "report.html").read_text()
    assert MARKUP not in text
    assert place.key in text


def test_signing_out_leaves_nothing_behind(visit: Visit, place: Place) -> None:
    visit.sign_in()
    visit.open(place.base)
    visit.page.get_by_role("button", name="Sign out").click()
    expect(visit.page.get_by_role("heading", name="Sign in")).to_be_visible()
    visit.open(place.base)
    expect(visit.page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert "next=" in visit.page.url
