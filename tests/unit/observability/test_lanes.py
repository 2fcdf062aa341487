from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from schemas import Bounds
from tests.unit.observability.builders import lane
from worker.core.circuit import Circuit, State
from worker.observability.status import Snapshot, lane_report, snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.pipeline.lane import Lane

WALL = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
NOW = 1000.0


def reported(of: Lane) -> dict[str, object]:
    found: dict[str, object] = json.loads(json.dumps(lane_report(of, now=NOW, wall=WALL)))
    return found


def test_a_lane_says_its_state_and_why() -> None:
    acme = lane(held=3, rate="20/s,600/m", bounds=Bounds(app_ids=frozenset({"B", "A"})))
    acme.standing.health = Circuit(
        State.SUSPENDED, since=NOW - 90, until=NOW + 4, why="the API answered -3", status="-3"
    )
    acme.in_flight, acme.unconfirmed, acme.is_open = 1, 2, True

    found = reported(acme)

    assert found == found | {
        "state": "suspended",
        "why": "the API answered -3",
        "api_status": "-3",
        "since": "2026-11-22T07:58:30.000Z",
        "until": "2026-11-22T08:00:04.000Z",
        "open": True,
        "draining": False,
        "in_flight": 1,
        "waiting": 2,
        "held": 3,
        "unconfirmed": 2,
        "rate": "20/s,600/m",
        "concurrency": 16,
        "app_ids": ["A", "B"],
        "last_success": None,
    }


@pytest.mark.parametrize(
    ("trouble", "state", "why"),
    [
        (None, "standby", "nothing was delivered to this replica"),
        ("no connection to RabbitMQ", "disconnected", "no connection to RabbitMQ"),
    ],
)
def test_a_lane_that_is_not_served_here_calls_itself_neither_running_nor_suspended(
    trouble: str | None, state: str, why: str
) -> None:
    acme = lane()
    acme.closed_at = NOW - 30
    acme.standing.health = Circuit(
        State.SUSPENDED, since=NOW - 90, until=NOW + 4, why="the API answered -3", status="-3"
    )

    found = json.loads(json.dumps(lane_report(acme, now=NOW, wall=WALL, trouble=trouble)))

    assert (found["state"], found["api_status"], found["until"]) == (state, None, None)
    assert str(found["why"]).startswith(why)
    assert found["since"] == "2026-11-22T07:59:30.000Z"
    assert found["remembered"] == {
        "state": "suspended",
        "why": "the API answered -3",
        "api_status": "-3",
        "since": "2026-11-22T07:58:30.000Z",
    }


def test_a_lane_says_what_it_counted() -> None:
    acme = lane()
    acme.tally.outcomes["applied", ""] += 2
    acme.tally.outcomes["rejected", "invalid"] += 1
    acme.tally.calls["0"] += 2
    acme.tally.retries, acme.tally.give_backs = 3, 4
    acme.tally.last_success = WALL.timestamp()

    found = reported(acme)

    assert found["edits"] == {"applied": 2, "invalid": 1}
    assert found["calls"] == {"0": 2}
    assert (found["retries"], found["given_back"]) == (3, 4)
    assert found["last_success"] == "2026-11-22T08:00:00.000Z"


def test_a_lane_keeps_its_secrets() -> None:
    acme = lane()
    acme.account = replace(acme.account, api_key="hidden-key")

    text = json.dumps(reported(acme))

    assert acme.account.api_secret.get_secret_value() not in text
    assert "hidden" not in text


@pytest.mark.parametrize("trouble", [RuntimeError("changed size"), IndexError("empty")])
def test_a_look_at_what_is_being_changed_is_taken_again(
    trouble: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = lane(held=2)
    looks: Iterator[Exception | float] = iter([trouble, trouble, 5.0])

    def oldest(_: object) -> float:
        found = next(looks)
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(type(acme.window), "oldest", oldest)

    assert snapshot(acme) == Snapshot(held=2, waiting=1, oldest=5.0)
