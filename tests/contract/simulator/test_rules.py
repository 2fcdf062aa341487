from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from ops.simulator.account import Account
from ops.simulator.reply import REASONS
from ops.simulator.rules import refusal
from tests.contract.simulator.caller import EDIT, KEY, SECRET, body, call, connection, on, signed

if TYPE_CHECKING:
    from ops.simulator.control import Simulator

ACCOUNT = Account(KEY, SECRET, app_ids=frozenset({"app-1"}), max_robots=10)
AUTO: dict[str, Any] = {"mode": "AUTO", "startDateTime": "2026-11-22 08:00:00"}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        AUTO,
        AUTO | {"endDateTime": "2026-11-23 08:00:00"},
        {"jobId": 2**63 - 1},
        {"inactiveTimeList": [{"startTime": "12:00", "endTime": "13:00"}] * 3},
        {"inactiveDateList": [{"startDate": "2026-11-22", "endDate": "2026-11-22"}]},
        {"daysOfWeek": ["MONDAY", "SUNDAY"]},
        {"redial": True},
        {"redial": True, "redialCondition": ["BUSY"], "redialInterval": 1440, "redialTimes": 3},
        {"robotCount": 10},
        {"startDateTime": None, "unknown": 1},
    ],
)
def test_an_edit_that_the_page_allows_passes(changes: dict[str, Any]) -> None:
    assert refusal(EDIT | changes, ACCOUNT) is None


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        *(({name: None}, "-27") for name in EDIT),
        ({"jobId": "123"}, "-27"),
        ({"jobId": True}, "-27"),
        ({"jobId": 0}, "-27"),
        ({"jobId": 2**63}, "-27"),
        ({"name": "  "}, "-27"),
        ({"mode": "auto"}, "-27"),
        ({"redial": "false"}, "-27"),
        ({"dailyStartDateTime": "9:00"}, "-27"),
        ({"dailyStartDateTime": "20:00", "dailyEndDateTime": "09:00"}, "-27"),
        (AUTO | {"startDateTime": "2026-02-30 08:00:00"}, "-27"),
        (AUTO | {"endDateTime": "2026-11-22 07:59:59"}, "-27"),
        ({"daysOfWeek": ["Monday"]}, "-27"),
        ({"daysOfWeek": [["MONDAY"]]}, "-27"),
        ({"inactiveTimeList": [{"startTime": "12:00", "endTime": "13:00"}] * 4}, "-27"),
        ({"inactiveTimeList": [{"startTime": "13:00", "endTime": "12:00"}]}, "-27"),
        ({"inactiveTimeList": ["12:00"]}, "-27"),
        ({"inactiveDateList": [{"startDate": "2026-11-31", "endDate": "2026-12-01"}]}, "-27"),
        ({"mode": "AUTO"}, "-28"),
        ({"redialCondition": ["SLEEPING"]}, "-29"),
        ({"redialCondition": "BUSY"}, "-29"),
        ({"redialInterval": 1441}, "-30"),
        ({"redialInterval": -1}, "-30"),
        ({"redialTimes": 4}, "-31"),
        ({"redialTimes": 0}, "-31"),
        ({"appId": "app-2"}, "-37"),
        ({"dialogFlowId": 0}, "-41"),
        ({"dailyStartDateTime": "08:59"}, "-48"),
        ({"dailyEndDateTime": "20:01"}, "-48"),
        ({"robotCount": 11}, "-52"),
    ],
)
def test_an_edit_against_a_rule_earns_its_status(changes: dict[str, Any], status: str) -> None:
    assert refusal(EDIT | changes, ACCOUNT) == status


@pytest.mark.parametrize("edit", [None, [], "edit", 1, {}])
def test_what_is_no_edit_is_a_bad_parameter(edit: object) -> None:
    assert refusal(edit, ACCOUNT) == "-27"


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, "-29"),
        ({"redialCondition": ["BUSY"]}, "-30"),
        ({"redialCondition": ["BUSY"], "redialInterval": 5}, "-31"),
        ({"redialCondition": ["BUSY"], "redialInterval": 5, "redialTimes": 1}, None),
    ],
)
def test_redial_fields_are_demanded_only_on_request(
    changes: dict[str, Any], status: str | None
) -> None:
    edit = EDIT | {"redial": True} | changes
    assert refusal(edit, ACCOUNT, demand_redial=True) == status
    assert refusal(edit, ACCOUNT) is None


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[" * 100_000, b'{"jobId": 1e999}'])
def test_a_body_that_cannot_be_read_is_answered(simulator: Simulator, content: bytes) -> None:
    assert call(simulator.url, content).status == "-27"


def test_success_is_answered_as_the_page_shows_it(simulator: Simulator) -> None:
    got = call(simulator.url)
    assert (got.code, got.headers["Content-Type"]) == (200, "application/json;charset=UTF-8")
    assert json.loads(got.body) == {"status": "0", "reason": "success", "data": 123}


@pytest.mark.parametrize("status", [*REASONS, "-777", "odd"])
def test_every_status_comes_on_demand(simulator: Simulator, status: str) -> None:
    simulator.answer(status)
    assert call(simulator.url).status == status
    (seen,) = simulator.calls()
    assert (seen.status, seen.applied) == (status, status == "0")


@pytest.mark.parametrize(("status", "number"), [("0", 0), ("-3", -3), ("odd", "odd")])
def test_a_status_can_be_a_number(simulator: Simulator, status: str, number: object) -> None:
    simulator.settings(numeric_status=True)
    simulator.answer(status)
    assert call(simulator.url).status == number


def test_a_name_of_another_job_is_refused_only_on_request(simulator: Simulator) -> None:
    with connection(simulator.url) as line:
        assert on(line, body(jobId=1)).status == "0"
        assert on(line, body(jobId=2)).status == "0"
        simulator.settings(unique_names=True)
        assert on(line, body(jobId=1)).status == "-33"
        assert on(line, body(jobId=2)).status == "0"
        assert on(line, body(jobId=1, name="its own")).status == "0"


def test_an_account_has_its_own_window_and_robots(simulator: Simulator) -> None:
    simulator.account(KEY, SECRET, daily_window=("08:00", "22:00"), max_robots=2)
    early = body(dailyStartDateTime="08:00", dailyEndDateTime="22:00")
    assert call(simulator.url, early).status == "0"
    assert call(simulator.url, body(robotCount=3)).status == "-52"


@pytest.mark.parametrize(
    ("state", "status"), [("balance_gone", "-3"), ("ip_refused", "-6"), ("unverified", "-49")]
)
def test_a_state_of_one_account_leaves_the_other(
    simulator: Simulator, state: str, status: str
) -> None:
    simulator.account("other", "secret")
    simulator.state(state, account="other")
    other = signed("other", "secret")
    assert call(simulator.url, headers=other).status == status
    assert call(simulator.url).status == "0"
    simulator.state("running", account="other")
    assert call(simulator.url, headers=signed("other", "secret")).status == "0"


def test_down_is_springs_own_error_for_all(simulator: Simulator) -> None:
    simulator.state("down")
    got = call(simulator.url)
    assert (got.code, got.status) == (503, 503)
    simulator.state("running")
    assert call(simulator.url).status == "0"


def test_settings_are_shown(simulator: Simulator) -> None:
    simulator.settings(timestamp_window=timedelta(seconds=5))
    assert "timestamp_window=datetime.timedelta(seconds=5)" in simulator.status()["settings"]
