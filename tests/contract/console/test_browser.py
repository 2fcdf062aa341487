"""The pages in a real browser: Debian's Chromium, driven through its own executable."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest
from playwright.sync_api import expect, sync_playwright

from ops.programs import ensure
from ops.rabbitmq.install import AbsentError
from tests import npm
from tests.conftest import CI
from tests.contract.console.test_pages import GOOD_BODY, KEY, PAGES, make_hostile
from worker.console.model import RunOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, ConsoleMessage, Page

    from tests.contract.console.conftest import Running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

NPM = Path(__file__).parent / "npm"
RULES = "{resultTypes: ['violations']}"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    try:
        path = ensure("chromium")
    except AbsentError as absent:
        (pytest.fail if CI else pytest.skip)(str(absent))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def axe() -> str:
    npm.install(NPM)
    return (NPM / "node_modules" / "axe-core" / "axe.min.js").read_text()


class Tab:
    """A tab of somebody who has signed in, and what went wrong in it."""

    def __init__(
        self,
        browser: Browser,
        console: Running,
        *,
        by_keys: bool = False,
        **more: Any,  # noqa: ANN401
    ) -> None:
        settings = {"locale": "en-GB", "timezone_id": "Asia/Shanghai", "viewport": size()} | more
        self.context = browser.new_context(**settings)
        self.page: Page = self.context.new_page()
        self.url = console.url
        self.wrong: list[str] = []
        self.clicks = 0
        self.by_keys = by_keys
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", lambda dialog: self.wrong.append(f"dialog {dialog.message}"))
        self.page.on("console", self._heard)
        self.page.goto(f"{console.url}/sign-in?code={console.access.code}")
        self.page.click("main button.main")
        self.page.wait_for_url(f"{console.url}/")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()

    def _heard(self, said: ConsoleMessage) -> None:
        if said.type == "error":
            self.wrong.append(said.text)

    def click(self, selector: str) -> None:
        """One click that leads on, or one Enter where there is only a keyboard; counted."""
        self.clicks += 1
        if self.by_keys:
            self.tab_to(selector)
        with self.page.expect_navigation():
            if self.by_keys:
                self.page.keyboard.press("Enter")
            else:
                self.page.locator(selector).first.click()

    def write(self, selector: str, text: str) -> None:
        """Put a text into a field."""
        if self.by_keys:
            self.tab_to(selector)
            self.page.keyboard.press("Control+A")
            self.page.keyboard.insert_text(text)
        else:
            self.page.fill(selector, text)

    def tab_to(self, selector: str) -> None:
        """Go there by the Tab key alone."""
        for _ in range(100):
            self.page.keyboard.press("Tab")
            wanted = self.page.locator(selector).first
            if wanted.evaluate("element => element === document.activeElement"):
                return
        pytest.fail(f"no Tab leads to {selector}")

    def says(self, text: str) -> bool:
        """Whether the page shows that text."""
        return text in " ".join(self.page.locator("body").inner_text().split())


def size(width: int = 1200) -> dict[str, int]:
    return {"width": width, "height": 900}


@pytest.mark.parametrize("width", [1200, 360])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
def test_every_page_is_for_everybody(
    locale: str, theme: str, width: int, chromium: Browser, axe: str, console: Running
) -> None:
    with Tab(chromium, console, locale=locale, color_scheme=theme, viewport=size(width)) as tab:
        plan = tab.page.evaluate(
            "fetch('/plans?cause=c0ffee', {method: 'POST', body: new URLSearchParams()})"
            ".then(answer => new URL(answer.url).pathname)"
        )
        console.source.operate("op-1", "redrive", by="Li Wei", count=300, done=5)
        for path in (*PAGES, plan, "/operations/op-1"):
            tab.page.goto(console.url + path)
            tab.page.evaluate(axe)
            found = tab.page.evaluate(f"axe.run(document, {RULES})")
            assert [
                (one["id"], [node["html"] for node in one["nodes"]][:3])
                for one in found["violations"]
            ] == [], path
            is_wide = tab.page.evaluate("document.documentElement.scrollWidth > innerWidth")
            assert not is_wide, path
        assert [one for one in tab.wrong if "404" not in one] == []


@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
def test_nothing_that_a_publisher_wrote_runs(
    locale: str, chromium: Browser, console: Running
) -> None:
    make_hostile(console.source)
    with Tab(chromium, console, locale=locale, viewport=size(360)) as tab:
        for path in PAGES:
            tab.page.goto(console.url + path)
            assert not tab.page.evaluate("document.documentElement.scrollWidth > innerWidth"), path
        assert [one for one in tab.wrong if "404" not in one] == []


def test_a_live_page_shows_what_has_changed_and_says_when_it_is_not_live(
    chromium: Browser, console: Running
) -> None:
    with Tab(chromium, console) as tab:
        tab.page.wait_for_function(
            "document.querySelector('#status').textContent.startsWith('live')"
        )
        console.source.troubles = console.source.troubles[1:]
        console.source.touch()
        expect(tab.page.locator("#live")).not_to_contain_text("acme is suspended")
        tab.page.evaluate("source.close()")
        expect(tab.page.locator("#status.stale")).to_contain_text("not live since", timeout=20_000)


def test_what_cannot_be_fetched_is_not_called_live_and_is_fetched_once_it_can(
    chromium: Browser, console: Running
) -> None:
    with Tab(chromium, console) as tab:
        status, live = tab.page.locator("#status"), tab.page.locator("#live")
        expect(status).to_contain_text("live ")
        tab.page.route(console.url, lambda route: route.fulfill(status=503))
        console.source.troubles = console.source.troubles[1:]
        console.source.touch()
        expect(status).to_contain_text("not live since")
        expect(live).to_contain_text("acme is suspended")
        tab.page.unroute(console.url)
        expect(live).not_to_contain_text("acme is suspended", timeout=20_000)
        expect(status).not_to_contain_text("not live since")


def test_what_changed_while_the_stream_was_cut_is_shown_once_it_is_back(
    chromium: Browser, console: Running
) -> None:
    with Tab(chromium, console) as tab:
        expect(tab.page.locator("#status")).to_contain_text("live ")
        tab.page.evaluate("source.close(); source = null")
        console.source.troubles = console.source.troubles[1:]
        tab.page.evaluate("follow()")
        expect(tab.page.locator("#live")).not_to_contain_text("acme is suspended")


def test_a_tab_that_stays_open_says_that_rabbitmq_is_away_and_that_it_is_back(
    chromium: Browser, console: Running
) -> None:
    source = console.source
    for path in ("/", "/dead", "/dead/letters"):
        with Tab(chromium, console) as tab:
            tab.page.goto(console.url + path)
            button, count = tab.page.locator("main button").first, tab.page.locator("#dead-count")
            notice = tab.page.locator("#notice")
            expect(button).to_be_enabled()
            expect(count).to_have_text(str(len(source.rows)))
            source.is_up = False
            source.rows.popitem()
            source.touch()
            expect(notice).to_contain_text("RabbitMQ has not answered since", timeout=20_000)
            expect(button).to_be_disabled()
            expect(tab.page.locator("#why-not")).to_contain_text("nothing can be done")
            expect(count).to_have_text(str(len(source.rows)))
            source.is_up = True
            source.touch()
            expect(notice).to_be_empty(timeout=20_000)
            expect(button).to_be_enabled()
            assert tab.wrong == []


def test_a_page_without_a_live_part_is_as_of_when_it_was_made(
    chromium: Browser, console: Running
) -> None:
    with Tab(chromium, console) as tab:
        status = tab.page.locator("#status")
        tab.page.goto(f"{console.url}/dead/letters")
        expect(status).to_contain_text("live ")
        tab.page.goto(f"{console.url}/dead/letters/{KEY}")
        tab.page.evaluate("show()")
        expect(status).to_contain_text("as of ")
        assert tab.page.evaluate("source") is None


def test_an_editor_checks_as_one_types(chromium: Browser, console: Running) -> None:
    with Tab(chromium, console) as tab:
        tab.page.goto(f"{console.url}/dead/letters/{KEY}/mend")
        tab.page.fill("#body", GOOD_BODY)
        tab.page.wait_for_selector("#check .banner.good")
        tab.page.fill("#body", GOOD_BODY.replace("18:00", "25:00"))
        tab.page.wait_for_selector("#check .banner.bad")
        assert "dailyEndDateTime" in tab.page.locator("#check").inner_text()
        assert console.source.asked == []


def test_a_plan_that_is_being_made_shows_itself_when_it_is_ready(
    chromium: Browser, console: Running
) -> None:
    with Tab(chromium, console) as tab:
        console.source.plans_state = "preparing"
        tab.click(".trouble[data-kind=rejections] form button")
        expect(tab.page.locator("#plan")).to_contain_text("The plan is being made")
        [plan] = console.source.plans.values()
        console.source.plans[plan.id] = replace(plan, state="ready")
        expect(tab.page.locator("#plan")).to_contain_text("300 will be sent")


def ten_jobs(tab: Tab, console: Running) -> None:
    """What operators come for, each in so many clicks from the first page."""

    def begin() -> None:
        tab.page.goto(console.url)
        tab.clicks = 0

    begin()  # why an account stopped, what to do; letters by cause; rate used of allowed
    assert tab.says("acme is suspended: balance exhausted (-3)")
    assert tab.says("Do: Top up.")
    assert tab.says("globex: 300 edits rejected in the last hour")
    assert tab.says("9.8 of 10.0 a second")

    tab.write(".search input", "123")  # job 123
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_url("**/jobs/123")

    begin()  # look at one
    tab.click(".trouble[data-kind=rejections] a.button")
    tab.click("tbody tr a.text")
    assert tab.says("As it is, the worker would reject it again:")
    assert tab.clicks == 2

    begin()  # mend and send
    tab.click(".trouble[data-kind=rejections] a.button")
    tab.click("tbody tr .act a.button")
    tab.write("#body", GOOD_BODY)
    tab.click("button[value=plan]")
    tab.click("button[value=all]")
    assert tab.clicks == 4
    assert [each[0] for each in console.source.asked] == ["mend", "run"]

    begin()  # a group by canary
    tab.click(".trouble[data-kind=rejections] form button")
    tab.click("button[value=canary]")
    assert tab.clicks == 2
    assert console.source.asked[3][3] == RunOptions(canary=5)
    assert tab.says("5 of 300")

    begin()  # discard a group
    tab.click("nav a[href='/dead']")
    tab.click("button[value=discard]")
    tab.click("button.danger")
    assert tab.clicks == 3

    begin()  # who did what
    tab.click("nav a[href='/operations']")
    assert tab.says("Li Wei")
    assert tab.clicks == 1

    begin()  # pause and resume
    tab.click("#account-globex a.button")
    tab.write("#hand input[name=why]", "INC-4711")
    tab.click("#hand button")
    assert tab.clicks == 2
    begin()
    tab.click("#account-globex a.button")
    tab.click("#hand button")
    assert tab.clicks == 2
    assert [each[0] for each in console.source.asked][-2:] == ["pause", "resume"]


@pytest.mark.parametrize("by_keys", [True, False])
@pytest.mark.parametrize("with_scripts", [True, False])
def test_the_ten_jobs_take_few_clicks_no_mouse_and_no_script(
    with_scripts: bool, by_keys: bool, chromium: Browser, console: Running
) -> None:
    with Tab(chromium, console, by_keys=by_keys, java_script_enabled=with_scripts) as tab:
        ten_jobs(tab, console)
        assert tab.wrong == []


def test_keys_lead_there_and_do_nothing(chromium: Browser, console: Running) -> None:
    with Tab(chromium, console) as tab:
        keys = tab.page.keyboard
        for key, path in (("d", "/dead"), ("e", "/events"), ("l", "/operations"), ("n", "/")):
            keys.press("g")
            keys.press(key)
            tab.page.wait_for_url(console.url + path)
        keys.press("?")
        assert tab.page.locator("#keys").get_attribute("open") is not None
        keys.press("j")
        keys.press("j")
        keys.press("k")
        keys.press("Enter")
        tab.page.wait_for_url("**/accounts/acme")
        keys.press("/")
        keys.type("123")
        keys.press("Enter")
        tab.page.wait_for_url("**/jobs/123")
        assert console.source.asked == []
