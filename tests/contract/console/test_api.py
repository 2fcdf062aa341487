"""The JSON under /api/v1/: what programs read, and what they do."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from worker.console.model import RunOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.contract.console.conftest import Running

KEY = "0" * 32
LANE = {
    "account", "state", "why", "api_status", "since", "until", "paused", "rate_allowed",
    "rate_used", "waiting", "seconds_left", "dead", "last_success", "replica",
}  # fmt: skip


def test_an_account_is_told_with_the_names_of_lanes_json(console: Running) -> None:
    told = console.browser().get(f"{console.url}/api/v1/lanes", timeout=10).json()

    acme, _, zeta = told["items"]
    assert set(acme) == LANE
    assert (acme["account"], acme["state"], acme["waiting"]) == ("acme", "suspended", 1204)
    assert datetime.fromisoformat(acme["since"]).tzinfo is not None
    assert zeta["paused"] == {"by": "Li Wei", "why": "INC-4711", "until": None}
    assert told["live"] is True


@pytest.mark.parametrize(
    ("path", "of"),
    [
        ("workers", lambda told: [one["name"] for one in told["items"]] == ["w-1", "w-2"]),
        ("dead/groups", lambda told: [one["count"] for one in told["items"]] == [300]),
        ("dead/groups?by=account", lambda told: told["items"][0]["id"] == "globex"),
        ("dead/letters?job=9", lambda told: told["items"] == [] and told["total"] == 0),
        (f"dead/letters/{KEY}", lambda told: told["body"].startswith('{"jobId": 123')),
        ("jobs/123", lambda told: len(told["events"]) == 60),
        ("operations", lambda told: told["items"][0]["id"] == "op-0"),
        ("operations/op-0", lambda told: told["can_go_on"] and told["done"] == 120),
    ],
)
def test_what_a_page_shows_a_program_can_read(
    path: str, of: Callable[[object], bool], console: Running
) -> None:
    answer = console.browser().get(f"{console.url}/api/v1/{path}", timeout=10)

    assert answer.headers["content-type"] == "application/json"
    assert of(answer.json()), answer.text[:500]


@pytest.mark.parametrize("path", ["dead/groups", "dead/letters"])
def test_a_program_is_told_whether_the_letters_were_looked_at(path: str, console: Running) -> None:
    browser, address = console.browser(), f"{console.url}/api/v1/{path}"
    at = browser.get(address, timeout=10).json()["looked_at"]
    assert datetime.fromisoformat(at).tzinfo is not None

    console.source.is_looked_at = False

    told = browser.get(address, timeout=10).json()
    assert (told["items"], told["looked_at"]) == ([], None)


def test_letters_come_page_by_page_each_once(console: Running) -> None:
    browser, address = console.browser(), f"{console.url}/api/v1/dead/letters"
    told = browser.get(address, timeout=10).json()
    keys = [one["key"] for one in told["items"]]
    while told["next"]:
        told = browser.get(address, params={"after": told["next"]}, timeout=10).json()
        keys += [one["key"] for one in told["items"]]

    assert told["total"] == len(keys) == len(set(keys)) == 300


def test_a_body_that_is_no_text_is_told_in_base64(console: Running) -> None:
    console.source.bodies[KEY] = b"\xff\x00"

    told = console.browser().get(f"{console.url}/api/v1/dead/letters/{KEY}", timeout=10).json()

    assert told["body_base64"] == "/wA="
    assert "body" not in told


def test_a_program_plans_runs_once_and_stops(console: Running) -> None:
    browser, api = console.browser(), f"{console.url}/api/v1"
    wanted = {"action": "redrive", "filter": {"message_id": "order-7"}}

    plan = browser.post(f"{api}/plans", json=wanted, timeout=10)
    address = console.url + plan.headers["location"]
    first, second = (
        browser.post(f"{address}/run", json={"canary": 5, "rate": "5/s"}, timeout=10)
        for _ in range(2)
    )
    stopped = browser.post(f"{console.url}{first.headers['location']}/stop", timeout=10)

    assert (plan.status_code, first.status_code, stopped.status_code) == (201, 202, 200)
    assert browser.get(address, timeout=10).json()["operation"] == first.json()["id"]
    assert second.json()["id"] == first.json()["id"]
    made, run, stop = console.source.asked
    assert made[2] == (f"{7:032x}",)
    assert run[3] == RunOptions(canary=5, rate="5/s")
    assert stop[0] == "stop"


def test_an_account_is_paused_and_resumed_by_a_program(console: Running) -> None:
    browser, account = console.browser(), f"{console.url}/api/v1/accounts/globex"

    paused = browser.post(f"{account}/pause", json={"why": "INC", "for": "2h"}, timeout=10).json()
    resumed = browser.post(f"{account}/resume", timeout=10).json()

    assert (paused["account"], paused["replicas"]) == ("globex", ["w-1"])
    assert datetime.fromisoformat(paused["until"]) == console.source.asked[0][4]
    assert resumed == {"account": "globex", "replicas": ["w-1"]}


@pytest.mark.parametrize(
    ("path", "given", "status", "kind"),
    [
        ("plans", {"action": "burn"}, 409, "invalid"),
        ("plans", {"action": "redrive", "filter": {"color": "red"}}, 409, "invalid"),
        ("plans", {"action": "discard"}, 409, "invalid"),
        ("plans", {"action": "discard", "keys": []}, 409, "invalid"),
        ("plans", {"action": "discard", "keys": [KEY], "filter": {}}, 409, "invalid"),
        ("plans", {"action": "mend", "mended": {}}, 409, "invalid"),
        ("plans", {"action": "mend", "keys": [KEY]}, 409, "invalid"),
        ("plans", {"action": "redrive", "mended": {KEY: "{}"}}, 409, "invalid"),
        ("plans/no-plan/run", {"canary": 0}, 409, "invalid"),
        ("plans/no-plan/run", {"rate": "fast"}, 409, "rate"),
        ("plans/no-plan/run", {}, 409, "plan_unknown"),
        ("accounts/acme/pause", {}, 409, "invalid"),
        ("accounts/acme/pause", {"why": "INC", "for": "soon"}, 409, "period"),
        ("accounts/nobody/pause", {"why": "INC"}, 409, "no_account"),
        ("nowhere", {}, 404, "http_404"),
        ("lanes", {}, 405, "http_405"),
    ],
)
def test_what_cannot_be_done_is_said_by_its_kind(
    path: str, given: dict[str, object], status: int, kind: str, console: Running
) -> None:
    answer = console.browser().post(f"{console.url}/api/v1/{path}", json=given, timeout=10)

    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, problem["status"], problem["kind"]) == (status, status, kind)
    assert problem["detail"]
    assert console.source.asked == []


def test_without_rabbitmq_a_program_is_told_so(console: Running) -> None:
    console.source.is_up = False

    answer = console.browser().post(
        f"{console.url}/api/v1/accounts/acme/pause", json={"why": "INC"}, timeout=10
    )

    assert (answer.status_code, answer.json()["kind"]) == (503, "unavailable")
    assert "rabbit-1: refused" in answer.json()["detail"]
