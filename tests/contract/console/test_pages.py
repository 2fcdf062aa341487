from __future__ import annotations

import hashlib
import html
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import worker.console
from tests.contract.console.fake_source import FakeSource, event, letter
from worker.console.data import SHOWN
from worker.console.model import RunOptions, Trouble
from worker.console.troubles import WORST_FIRST

if TYPE_CHECKING:
    import requests

    from tests.contract.console.conftest import Running

HTMX_4_0_1 = "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130"
KEY = "0" * 32
PAGES = [
    "/",
    "/accounts/acme",
    "/accounts/globex",
    "/accounts/zeta",
    "/dead",
    "/dead?by=account",
    "/dead?by=app",
    "/dead?by=hour",
    "/dead/letters",
    f"/dead/letters/{KEY}",
    f"/dead/letters/{KEY}/mend",
    "/operations",
    "/operations/op-0",
    "/jobs/123",
    "/jobs/9",
    "/search?q=order-1",
    "/search?q=nothing",
    "/events",
    "/check",
    "/sign-in",
    "/nowhere",
]
GOOD_BODY = (
    '{"jobId": 123, "appId": "globex-app", "name": "n", "dialogFlowId": 1, "mode": "MANUAL",'
    ' "dailyStartDateTime": "09:00", "dailyEndDateTime": "18:00", "robotCount": 1,'
    ' "jobPhoneNumberId": 1, "redial": false}'
)


BLOCKS = frozenset(("p", "li", "td", "th", "h1", "h2", "dt", "dd", "div", "footer"))


class Seen(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.text += " " * (tag in BLOCKS)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def words(self) -> str:
        return " ".join(self.text.split())


def seen(browser: requests.Session, address: str) -> Seen:
    return Seen(browser.get(address, timeout=10).text)


def test_a_suspended_account_is_a_sentence_with_its_remedy(console: Running) -> None:
    words = seen(console.browser(), console.url).words

    assert "acme is suspended: balance exhausted (-3)" in words
    assert "1,204 edits wait; none is lost." in words
    assert "Do: Top up. It resumes by itself within a minute." in words


@pytest.mark.parametrize("is_served", [True, False])
def test_every_link_leads_to_a_page(is_served: bool, console: Running) -> None:
    if not is_served:
        console.source.accounts, console.source.troubles = {}, ()
    browser = console.browser()
    links = {
        value
        for path in PAGES
        for name, value in seen(browser, console.url + path).attributes
        if name == "href" and value.startswith("/")
    }

    answers = {link: browser.get(console.url + link, timeout=10).status_code for link in links}

    assert [link for link, status in answers.items() if status != 200] == []


@pytest.mark.parametrize("is_up", [True, False])
@pytest.mark.parametrize("path", PAGES)
def test_there_is_a_space_between_two_sentences(path: str, is_up: bool, console: Running) -> None:
    browser = console.browser()
    console.source.is_up = is_up

    assert re.findall(r".{20}[a-z0-9)][.:;][A-Z].*", seen(browser, console.url + path).words) == []


def test_the_same_in_chinese(console: Running) -> None:
    browser = console.browser()
    browser.post(f"{console.url}/preferences", {"language": "zh"}, timeout=10)

    words = seen(browser, console.url).words

    assert "acme 已挂起\uff1a余额不足 (-3)\uff0c" in words
    assert "请充值" in words


def test_the_browsers_language_is_spoken_until_one_is_chosen(console: Running) -> None:
    browser = console.browser()
    browser.headers["Accept-Language"] = "de, zh-CN;q=0.9, en;q=0.8"

    chinese = browser.get(console.url, timeout=10)
    browser.post(f"{console.url}/preferences", {"language": "en"}, timeout=10)
    english = browser.get(console.url, timeout=10)

    assert chinese.headers["content-language"] == "zh"
    assert english.headers["content-language"] == "en"


def test_when_all_is_well_one_line_says_so(console: Running) -> None:
    source = console.source
    source.troubles = ()
    source.accounts = {"globex": source.accounts["globex"]}

    words = seen(console.browser(), console.url).words

    assert "Nothing to do. 1 account runs; last success" in words


def test_before_workers_could_be_heard_nobody_says_that_all_is_well(console: Running) -> None:
    source = console.source
    source.troubles, source.accounts, source.is_heard = (), {}, False

    words = seen(console.browser(), console.url).words

    assert "Nothing to do." not in words
    assert "Listening for workers" in words


@pytest.mark.parametrize(
    "path", ["/dead", "/dead/letters", "/dead/letters?account=acme", "/jobs/9", "/search?q=none"]
)
def test_before_a_look_nobody_says_that_there_are_no_dead_letters(
    path: str, console: Running
) -> None:
    console.source.is_looked_at = False

    words = seen(console.browser(), console.url + path).words

    assert "The dead letters have not been looked at yet." in words
    assert "No dead letters." not in words
    assert "0 dead letters" not in words


def test_after_a_look_it_is_said_that_there_are_none(console: Running) -> None:
    console.source.rows = {}

    for path in ("/dead", "/dead/letters"):
        assert "No dead letters." in seen(console.browser(), console.url + path).words


def test_times_are_in_the_viewers_zone(console: Running) -> None:
    browser = console.browser()
    at = datetime.now(UTC) + timedelta(days=2)
    console.source.known_events = [event(1, at=at.replace(hour=20, minute=30, second=0))]
    browser.cookies.set("zone", "Asia%2FShanghai")

    words = seen(browser, f"{console.url}/events").words

    assert f"{(at + timedelta(days=1)).date()} 04:30:00" in words
    assert "Times in Asia/Shanghai." in words


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "Li Wei has been at the letters since 17:04:05 (sent again)."),
        ("zh", "Li Wei 自 17:04:05 起正在处理死信（重新发送）。"),  # noqa: RUF001 (Chinese)
    ],
)
def test_who_is_at_the_letters_is_said_in_the_viewers_language_and_zone(
    language: str, said: str, console: Running
) -> None:
    browser, source = console.browser(), console.source
    browser.cookies.update({"language": language, "zone": "Asia%2FShanghai"})
    at = datetime.now(UTC).replace(hour=9, minute=4, second=5)
    source.at_it = source.operate("op-7", "redrive", by="Li Wei", at=at)

    words = seen(browser, f"{console.url}/dead").words

    assert re.sub(r"\d{4}-\d\d-\d\d ", "", said) in re.sub(r"\d{4}-\d\d-\d\d ", "", words)


def test_the_hour_of_a_group_is_in_the_viewers_zone_too(console: Running) -> None:
    browser = console.browser()
    browser.cookies.set("zone", "Asia%2FKolkata")
    hour = datetime(2026, 11, 20, 20, 17, tzinfo=UTC)
    console.source.rows = {KEY: replace(letter(0), dead_at=hour)}

    groups = seen(browser, f"{console.url}/dead?by=hour")
    letters = seen(browser, f"{console.url}/dead/letters?hour=2026-11-20T20")

    assert "2026-11-21 01:30" in groups.words
    assert ("href", "/dead/letters?hour=2026-11-20T20") in groups.attributes
    assert "hour 2026-11-21 01:30" in letters.words


def test_rejections_that_were_seen_to_are_not_said_to_be_dead_still(console: Running) -> None:
    source = console.source
    source.troubles = tuple(
        replace(one, facts={**one.facts, "left": 12}) for one in source.troubles
    )

    words = seen(console.browser(), console.url).words

    assert "globex: 300 edits rejected in the last hour" in words
    assert "At most 12 of them are dead letters still." in words


def test_why_no_plan_could_be_made_is_a_sentence_in_the_viewers_language(console: Running) -> None:
    browser, source = console.browser(), console.source
    plan = browser.post(f"{console.url}/plans", {"action": "redrive"}, timeout=10).url
    for id_, one in source.plans.items():
        source.plans[id_] = replace(one, state="failed", why_failed="gone")

    english = seen(browser, plan).words
    browser.cookies.set("language", "zh")
    chinese = seen(browser, plan).words

    assert "No plan could be made: This letter is not among the dead letters any more." in english
    assert "This letter" not in chinese


def test_what_came_of_an_operation_is_said_in_the_viewers_language(console: Running) -> None:
    browser = console.browser()
    console.source.operate(
        "op-1", "redrive", by="Li", state="stopped",
        filter={"message_id": "m-1", "hour": "2026-11-20T20"},
        result={"sent": 5, "rejected": 3, "stopped": "3 of 5 were not applied"},
    )  # fmt: skip
    browser.cookies.set("zone", "Asia%2FShanghai")

    english = seen(browser, f"{console.url}/operations/op-1").words
    browser.cookies.set("language", "zh")
    chinese = seen(browser, f"{console.url}/operations/op-1").words

    assert "message m-1, hour 2026-11-21 04:00" in english
    assert "sent 5, rejected 3, stopped 3 of 5 were not applied" in english
    assert "已发送 5, 已拒绝 3, 已停止 5 条中有 3 条未生效" in chinese


def test_a_plan_that_is_too_old_offers_nothing(console: Running) -> None:
    browser, source = console.browser(), console.source
    plan = browser.post(f"{console.url}/plans", {"action": "redrive"}, timeout=10).url
    for id_, one in source.plans.items():
        source.plans[id_] = replace(one, state="expired")

    page = seen(browser, plan)

    assert "this plan is too old" in page.words
    assert ("name", "how") not in page.attributes


def test_without_rabbitmq_the_page_says_since_when_and_does_nothing(console: Running) -> None:
    browser, source = console.browser(), console.source
    source.is_up = False

    page = seen(browser, console.url)
    mend = browser.get(f"{console.url}/dead/letters/{KEY}/mend", timeout=10).text
    answer = browser.post(f"{console.url}/accounts/acme/pause", {"why": "INC"}, timeout=10)

    assert "RabbitMQ has not answered since" in page.words
    assert "(rabbit-1: refused)" in page.words
    assert "This is how it was at" in page.words
    assert ("disabled", "") in page.attributes
    assert "readonly" in mend
    assert answer.status_code == 503
    assert source.asked == []


def test_letters_are_sent_again_by_the_filter_that_is_shown(console: Running) -> None:
    browser, source = console.browser(), console.source
    source.rows["other"] = letter(999, key="other", cause="beef", reason="api_rejected")
    source.bodies["other"] = b"{}"

    plan = browser.post(
        f"{console.url}/plans?cause=c0ffee&account=globex", {"action": "redrive"}, timeout=10
    )

    assert Seen(plan.text).words.count("Send again 300 letters") == 1
    assert "300 would be rejected again as they are" in Seen(plan.text).words
    assert len(source.asked[0][2]) == 300  # type: ignore[arg-type]
    assert "other" not in source.asked[0][2]  # type: ignore[operator]


@pytest.mark.parametrize(("by", "missing"), [("app", "app_id"), ("hour", "dead_at")])
def test_the_group_of_letters_that_lack_something_is_no_other_letters(
    by: str, missing: str, console: Running
) -> None:
    browser, source = console.browser(), console.source
    source.rows["lacking"] = letter(999, **{"key": "lacking", missing: None})
    source.bodies["lacking"] = b"{}"

    actions = {
        value
        for name, value in seen(browser, f"{console.url}/dead?by={by}").attributes
        if name == "action" and value.startswith("/plans") and value.endswith(f"{by}=")
    }
    for action in actions:
        browser.post(console.url + action, {"action": "discard"}, timeout=10)

    assert [each[2] for each in source.asked] == [("lacking",)]


def test_a_plan_runs_once_however_often_it_is_sent(console: Running) -> None:
    browser, source = console.browser(), console.source
    plan = browser.post(f"{console.url}/plans?cause=c0ffee", {"action": "redrive"}, timeout=10).url
    form = {"how": "canary", "canary": "5", "stop_at": "20", "rate": "5/s", "why": "INC-4711"}

    first, second = (browser.post(f"{plan}/run", form, timeout=10).url for _ in range(2))

    assert first == second
    assert [each[0] for each in source.asked] == ["redrive", "run"]
    assert source.asked[1][3] == RunOptions(canary=5, stop_at=0.2, rate="5/s", why="INC-4711")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rate", "fast"),
        ("rate", "5 / 0"),
        ("canary", ""),
        ("canary", "0"),
        ("canary", "x"),
        ("stop_at", "101"),
        ("how", "whatever"),
    ],
)
def test_what_cannot_be_run_so_is_said_and_not_begun(
    field: str, value: str, console: Running
) -> None:
    browser = console.browser()
    plan = browser.post(f"{console.url}/plans", {"action": "redrive"}, timeout=10).url

    form = {"how": "canary", field: value}
    answer = browser.post(f"{plan}/run", form, timeout=10)

    assert answer.status_code == 409
    assert "Write the" in Seen(answer.text).words
    assert [each[0] for each in console.source.asked] == ["redrive"]


def test_of_an_interrupted_operation_nothing_is_counted_that_is_not_known(console: Running) -> None:
    browser, source = console.browser(), console.source
    source.operate("op-9", "redrive", by="Li Wei", count=300, state="interrupted", left=None)

    counted, unknown = (
        seen(browser, f"{console.url}/operations/{name}").words for name in ("op-0", "op-9")
    )

    assert "Interrupted after 120 of 300; 180 are still dead letters." in counted
    assert "How many of its letters are still dead is not known." in unknown
    assert "of 300" not in unknown


def test_a_discard_says_how_many_are_gone_for_good(console: Running) -> None:
    browser = console.browser()

    plan = browser.post(f"{console.url}/plans?cause=c0ffee", {"action": "discard"}, timeout=10)

    assert "300 are taken out for good. Nothing is sent." in Seen(plan.text).words
    assert console.source.asked[0][0] == "discard"


def test_mending_names_a_bad_field_before_anything_is_sent(console: Running) -> None:
    browser = console.browser()
    address = f"{console.url}/dead/letters/{KEY}/mend"

    bad = browser.post(
        address, {"body": GOOD_BODY.replace("18:00", "25:00"), "do": "plan"}, timeout=10
    )
    assert bad.url == address
    assert "dailyEndDateTime" in Seen(bad.text).words
    assert console.source.asked == []

    good = browser.post(address, {"body": GOOD_BODY, "do": "plan"}, timeout=10)
    assert "/plans/" in good.url
    assert console.source.asked[0][:3] == ("mend", console.source.asked[0][1], (KEY,))
    assert console.source.asked[0][3] == {KEY: GOOD_BODY}


def test_the_editor_shows_what_cannot_be_seen_as_escapes(console: Running) -> None:
    source = console.source
    source.bodies[KEY] = '{"name": "a\u202eb\\u0007"}'.encode()

    text = console.browser().get(f"{console.url}/dead/letters/{KEY}/mend", timeout=10).text

    assert "\u202e" not in text
    assert "a\\u202eb\\u0007" in text


def test_what_the_editor_shows_is_the_edit_whatever_characters_it_has(console: Running) -> None:
    said = {"name": "\U0002ebf0 \U0001f3f4\U000e0067\U000e007f \u202e \x00 李"}
    console.source.bodies[KEY] = json.dumps(json.loads(GOOD_BODY) | said).encode()
    browser, address = console.browser(), f"{console.url}/dead/letters/{KEY}/mend"

    page = browser.get(address, timeout=10).text
    text = html.unescape(page.partition("<textarea")[2].partition(">")[2].partition("<")[0])
    browser.post(address, {"body": text, "do": "plan"}, timeout=10)

    assert "\U000e0067" not in page
    assert json.loads(console.source.asked[0][3][KEY])["name"] == said["name"]  # type: ignore[index]


def test_an_interrupted_operation_offers_to_go_on(console: Running) -> None:
    browser = console.browser()

    page = seen(browser, f"{console.url}/operations/op-0")
    answer = browser.post(f"{console.url}/operations/op-0/go-on", timeout=10)

    assert "Interrupted after 120 of 300; 180 are still dead letters." in page.words
    assert "/plans/" in answer.url


def test_a_running_operation_is_stopped(console: Running) -> None:
    browser, source = console.browser(), console.source
    source.operate("op-1", "redrive", by="Li Wei", count=300)

    answer = browser.post(f"{console.url}/operations/op-1/stop", timeout=10)

    assert "stopped" in Seen(answer.text).words
    assert source.asked[0][::2] == ("stop", "op-1")


def test_an_account_is_paused_for_a_while_and_resumed(console: Running) -> None:
    browser, source = console.browser(), console.source
    address = f"{console.url}/accounts/globex"

    paused = browser.post(f"{address}/pause", {"why": "INC-4711", "for": "2h"}, timeout=10)
    resumed = browser.post(f"{address}/resume", {"why": "done"}, timeout=10)

    until = source.asked[0][4]
    assert isinstance(until, datetime)
    assert timedelta(hours=1, minutes=59) < until - datetime.now(UTC) <= timedelta(hours=2)
    assert "Ends by itself at" in Seen(paused.text).words
    assert "No call starts once it is paused" in Seen(resumed.text).words


@pytest.mark.parametrize(
    ("heeded", "said"),
    [(("w-1", "w-2"), "Heeded by w-1, w-2: no call starts."), ((), "calls may still go out")],
)
def test_a_pause_says_who_heeds_it_or_that_calls_may_still_go_out(
    heeded: tuple[str, ...], said: str, console: Running
) -> None:
    browser, console.source.heeded = console.browser(), heeded

    answer = browser.post(f"{console.url}/accounts/globex/pause", {"why": "INC-4711"}, timeout=10)

    assert said in Seen(answer.text).words


def test_anothers_pause_that_the_form_did_not_show_stays_as_it_is(console: Running) -> None:
    browser, source = console.browser(), console.source
    address = f"{console.url}/accounts/zeta"
    form = seen(browser, f"{address}?by=hand").attributes
    shown = form[form.index(("name", "since")) + 1][1]
    zeta = source.accounts["zeta"]
    assert zeta.paused is not None
    newer = zeta.paused.model_copy(update={"by": "Ann", "since": datetime.now(UTC)})
    source.accounts["zeta"] = replace(zeta, paused=newer)

    for act, fields in (("pause", {"why": "mine"}), ("resume", {"since": shown})):
        answer = browser.post(f"{address}/{act}", fields, timeout=10)
        assert answer.status_code == 409
        assert "Nothing was done: Ann has paused it meanwhile." in Seen(answer.text).words
    assert source.asked == []

    browser.post(f"{address}/resume", {"since": newer.since.isoformat()}, timeout=10)
    assert [each[0] for each in source.asked] == ["resume"]


@pytest.mark.parametrize("name", ["acme", "zeta"])
def test_what_is_typed_outlives_ten_seconds_without_scripts(name: str, console: Running) -> None:
    browser = console.browser()

    def page(address: str) -> tuple[bool, bool]:
        """Whether it is loaded again by itself, and whether there is something to type in."""
        found = seen(browser, console.url + address).attributes
        return ("http-equiv", "refresh") in found, ("name", "why") in found

    assert page(f"/accounts/{name}") == (True, False)
    assert page(f"/accounts/{name}?by=hand") == (False, True)
    assert ("href", f"/accounts/{name}?by=hand#hand") in seen(browser, console.url).attributes


@pytest.mark.parametrize("form", [{}, {"why": "  "}, {"why": "x", "for": "soon"}])
def test_a_pause_needs_a_why_and_a_time_that_can_be_read(
    form: dict[str, str], console: Running
) -> None:
    answer = console.browser().post(f"{console.url}/accounts/acme/pause", form, timeout=10)

    assert answer.status_code == 409
    assert console.source.asked == []


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("123", "/jobs/123"),
        ("0123", "/jobs/123"),
        (" zeta ", "/accounts/zeta"),
        ("order-250", "/dead/letters/" + f"{250:032x}"),
    ],
)
def test_a_search_goes_to_what_is_meant_at_once(text: str, path: str, console: Running) -> None:
    answer = console.browser().get(f"{console.url}/search", params={"q": text}, timeout=10)

    assert answer.url == console.url + path


def test_a_search_for_an_account_that_has_but_dead_letters_leads_to_them(console: Running) -> None:
    console.source.rows["left"] = letter(999, key="left", account="former")

    page = seen(console.browser(), f"{console.url}/search?q=former")

    assert ("href", "/dead?account=former") in page.attributes
    assert ("href", "/accounts/former") not in page.attributes


@pytest.mark.parametrize("is_dead", [True, False])
def test_a_number_that_is_a_message_id_too_may_be_either(is_dead: bool, console: Running) -> None:
    source = console.source
    if is_dead:
        source.rows[KEY] = replace(source.rows[KEY], message_id="4711")
    else:
        source.known_events = [event(1, message_id="4711", job_id=9)]

    page = seen(console.browser(), f"{console.url}/search?q=4711")

    assert ("href", "/jobs/4711") in page.attributes
    assert ("href", f"/dead/letters/{KEY}" if is_dead else "/jobs/9") in page.attributes


@pytest.mark.parametrize(("is_complete", "events"), [(False, 0), (False, 1), (True, SHOWN)])
def test_of_a_job_whose_older_events_are_not_shown_it_says_where_they_are(
    is_complete: bool, events: int, console: Running
) -> None:
    console.source.is_complete = is_complete
    console.source.known_events = [replace(event(number), job_id=9) for number in range(events)]
    page = seen(console.browser(), f"{console.url}/jobs/9").words

    assert "taskedit history --job 9" in page
    assert ("No event of job 9 since" in page) == (not events)
    console.source.is_complete = True
    console.source.known_events = console.source.known_events[:1]
    page = seen(console.browser(), f"{console.url}/jobs/9").words
    assert "The whole journal has been read." in page
    assert "taskedit history" not in page


def test_a_live_part_that_has_not_changed_is_not_sent_again(console: Running) -> None:
    browser, address = console.browser(), f"{console.url}/dead/letters?job=123"
    browser.headers["HX-Request"] = "true"
    first = browser.get(address, timeout=10)
    browser.headers["If-None-Match"] = first.headers["etag"]

    same = browser.get(address, timeout=10)
    console.source.rows.popitem()
    changed = browser.get(address, timeout=10)

    assert (same.status_code, same.content) == (304, b"")
    assert changed.status_code == 200


def test_the_stream_tells_which_parts_have_changed(console: Running) -> None:
    with console.browser().get(f"{console.url}/live", stream=True, timeout=10) as stream:
        lines = stream.iter_lines(decode_unicode=True)
        assert next(lines) == "retry: 2000"
        console.source.touch()
        assert "data: dead fleet" in lines


def test_the_stream_ends_with_the_session(console: Running) -> None:
    browser = console.browser()
    with browser.get(f"{console.url}/live", stream=True, timeout=10) as stream:
        lines = stream.iter_lines(decode_unicode=True)
        assert next(lines) == "retry: 2000"
        browser.post(f"{console.url}/sign-out", timeout=10)
        console.source.touch()
        assert "data: dead fleet" not in lines


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_hostile_publisher_changes_no_page(path: str, language: str, console: Running) -> None:
    browser = console.browser()
    browser.cookies.set("language", language)
    plain = seen(browser, console.url + path)
    make_hostile(console.source)

    answer = browser.get(console.url + path, timeout=10)
    page = Seen(answer.text)

    assert answer.status_code == (404 if path == "/nowhere" else 200)
    assert page.tags.count("script") == plain.tags.count("script") == 2
    assert not {"img", "iframe", "base", "object", "embed", "style"} & set(page.tags)
    assert [name for name, _ in page.attributes if name.startswith("on")] == []
    assert [value for _, value in page.attributes if "javascript:" in value.lower()] == []
    assert not {"\u202e", "\u2066", "\x00", "\x1b", "\ufeff"} & set(answer.text)


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</textarea></title></style><script src=//evil.example></script>",
    "\u202e\u2066gnp.exe\x00\x1b[31m\ufeff",
    "\ud800 lone \udfff",
    "javascript:alert(1)",
    "{{ 7 * 7 }}{% raw %}%(why)s",
    "x" * 65_536,
]


def make_hostile(source: FakeSource) -> None:
    """Put hostile texts wherever a publisher, the provider or a worker can put one."""
    text = " ".join(HOSTILE)
    for number, (key, row) in enumerate(list(source.rows.items())[:20]):
        one = HOSTILE[number % len(HOSTILE)]
        source.rows[key] = replace(
            row, detail=text, message_id=one, app_id=one, account=one, reason=one, status=one,
            fields=(one,), attempts=one,
        )  # fmt: skip
        source.bodies[key] = ('{"name": "' + text).encode(errors="surrogatepass")
    source.headers = tuple((one, one) for one in HOSTILE)
    source.known_events = [
        event(n, detail=one, message_id=one, account=one, app_id=one, reason=one, status=one)
        for n, one in enumerate(HOSTILE)
    ]
    source.operate("op-9", "redrive", by=text, filter={text: text}, why=text, result={text: text})
    for name, account in source.accounts.items():
        source.accounts[name] = replace(
            account, why=text, api_status=HOSTILE[1], replica=text, limits=text,
            statuses=((HOSTILE[0], 1),),
        )  # fmt: skip
    source.replicas = tuple(
        replace(one, name=text, version=text, why=text, serves=(text,)) for one in source.replicas
    )
    source.troubles = tuple(
        replace(
            one,
            facts={**one.facts, "why": text, "by": text, "reason": text, "status": text,
                   "fields": (text,), "api_status": text},
        )
        for one in source.troubles
    )  # fmt: skip


@pytest.mark.parametrize("path", ["/dead", "/dead/letters"])
def test_whoever_looks_without_a_stream_looks_all_the_same(path: str, console: Running) -> None:
    console.browser().get(console.url + path, timeout=10)

    assert console.source.watchers == 1


@pytest.mark.parametrize("kind", WORST_FIRST)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_trouble_has_a_sentence(kind: str, language: str, console: Running) -> None:
    browser, source = console.browser(), console.source
    browser.cookies.set("language", language)
    facts = dict.fromkeys(("why", "api_status", "waiting", "until", "by", "left", "detail"))
    source.troubles = (Trouble(kind, account="acme", facts=facts),)

    page = browser.get(console.url, timeout=10)

    assert page.status_code == 200
    assert "None" not in Seen(page.text).words
    assert f"<strong>{kind}</strong>" not in page.text


@pytest.mark.parametrize("kind", WORST_FIRST[1:])
def test_every_trouble_says_what_to_do_or_has_a_button(kind: str, console: Running) -> None:
    console.source.troubles = (
        Trouble(kind, account="acme", facts={"reason": "invalid", "operation": "op-0"}),
    )

    page = console.browser().get(console.url, timeout=10).text

    told = page.partition('<li class="trouble ')[2].partition("</li>")[0]
    assert re.search("Do:|by itself|Mend", Seen(told).words) or 'class="button"' in told


def test_htmx_is_the_one_that_was_looked_at() -> None:
    content = (Path(worker.console.__file__).parent / "static" / "htmx.min.js").read_bytes()

    assert hashlib.sha256(content).hexdigest() == HTMX_4_0_1


def test_no_form_of_ours_is_a_get_that_changes_anything(console: Running) -> None:
    browser = console.browser()

    for path in ("/accounts/acme/pause", "/plans", "/plans/p/run", "/operations/op-0/stop"):
        assert browser.get(console.url + path, timeout=10).status_code == 405, path
