"""An API that misbehaves in every way once: each edit is applied in the end, none is buried."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.acceptance.kit import edit, letters, publish, until

if TYPE_CHECKING:
    from ops.simulator.control import Simulator
    from tests.acceptance.conftest import NewWorker
    from tests.acceptance.kit import Subscriber

MISDEEDS: tuple[dict[str, Any], ...] = (
    {"kind": "http", "code": 500},
    {"kind": "http", "code": 502, "form": "html"},
    {"kind": "http", "code": 503, "form": "empty"},
    {"kind": "http", "code": 429, "retry_after": "1"},
    {"kind": "http", "code": 429, "retry_after": "date+1"},
    {"kind": "http", "code": 429, "retry_after": "date-30"},
    {"kind": "http", "code": 429, "retry_after": "soon"},
    {"kind": "http", "code": 429, "retry_after": "-5"},
    {"kind": "http", "code": 503, "retry_after": "1"},
    {"kind": "html"},
    {"kind": "redirect", "body": "http://127.0.0.1:1/"},
    {"kind": "no_content"},
    {"kind": "body", "body": ""},
    {"kind": "body", "body": "[]"},
    {"kind": "body", "body": '{"status": "0", "status"'},
    {"kind": "raw", "body": "no HTTP at all"},
    {"kind": "raw_open", "body": "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n"},
    {"kind": "drop_after_reading", "reset": True},
    {"kind": "stall"},
    {"kind": "endless_headers"},
    {"kind": "endless_body"},
    {"kind": "gzip_bomb", "size": 64},
    {"kind": "drop_before_reply"},
    {"kind": "drop_mid_headers"},
    {"kind": "drop_mid_reply", "reset": True},
    {"kind": "drip_headers", "every": 0.5},
    {"kind": "drip_body", "every": 0.5},
    {"kind": "split", "size": 1},
    {"kind": "chunked", "size": 3},
    {"kind": "gzip"},
    {"kind": "unframed"},
    {"kind": "wrong_type"},
    {"kind": "interim"},
    {"kind": "close"},
    {"kind": "close_silently"},
    {"kind": "close_late", "every": 0.01},
    {"kind": "junk_after", "body": "HTTP/1.1 200 OK\r\n\r\n"},
)


def test_every_misdeed_once_delays_edits_and_costs_none(
    amqp_url: str,
    namespace: str,
    simulator: Simulator,
    new_worker: NewWorker,
    events: Subscriber,
) -> None:
    for job, misdeed in enumerate(MISDEEDS, start=1):
        simulator.fault(**misdeed, job=job, times=1)
    worker = new_worker(CALL_TIMEOUT="1s", CONNECT_TIMEOUT="1s")
    edits = [edit(1 + n % len(MISDEEDS), name=f"{n:03}") for n in range(3 * len(MISDEEDS))]
    ids = publish(amqp_url, namespace, edits)
    until(lambda: events.settled() == dict.fromkeys(ids, "applied"), 50)
    assert not letters(amqp_url, namespace)
    assert worker.lane()["state"] == "running"
    for job in range(1, len(MISDEEDS) + 1):
        names = [call.name or "" for call in simulator.calls() if call.job == job]
        assert names == sorted(names), f"job {job} is out of order after {MISDEEDS[job - 1]}"


def test_a_huge_pause_that_is_asked_for_is_bounded(
    amqp_url: str,
    namespace: str,
    simulator: Simulator,
    new_worker: NewWorker,
    events: Subscriber,
) -> None:
    del events
    simulator.fault("http", code=429, retry_after="9" * 30, times=1)
    worker = new_worker()
    publish(amqp_url, namespace, [edit(1)])
    until(lambda: worker.lane()["state"] == "throttled")
    assert worker.lane()["since"] < worker.lane()["until"]
    assert worker.asked("/livez")[0] == 200


def test_a_date_that_cannot_be_true_is_not_believed(
    amqp_url: str,
    namespace: str,
    simulator: Simulator,
    new_worker: NewWorker,
    events: Subscriber,
) -> None:
    """With -4 and a Date of the year 9999 the account waits, and goes on when the API is well."""
    end_of_time = datetime(9999, 12, 31, tzinfo=UTC) - datetime.now(UTC)
    simulator.settings(clock_offset=f"{end_of_time // timedelta(seconds=1)}s")
    worker = new_worker()
    ids = publish(amqp_url, namespace, [edit(n) for n in range(1, 6)])
    until(lambda: worker.lane()["state"] == "suspended")
    simulator.settings(clock_offset="0s")
    until(lambda: len(events.settled()) == len(ids), 40)
    assert events.settled() == dict.fromkeys(ids, "applied")
    assert letters(amqp_url, namespace) == []
