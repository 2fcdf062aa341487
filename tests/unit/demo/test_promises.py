"""A demo that could not fail would show nothing: each promise is broken here once."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from ops.demo.messages import CARE, Message
from ops.demo.post import Letter
from ops.demo.promises import Evidence, Pause, promises
from ops.demo.worker import ACME, GLOBEX
from ops.simulator.control import Call, Summary
from schemas import Event, Outcome, Reason, encode, read_event

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
BAD = Message("3-1", CARE, "invalid", "", json.dumps({"name": "three"}))


def good(job: int, wave: int) -> Message:
    body = json.dumps({"name": f"wave {wave}"})
    return Message(f"{job}-{wave}", CARE, "applied", "", body)


def event(message: Message, **changed: Any) -> Event:  # noqa: ANN401 - any field of an event
    outcome: Outcome = "applied" if message.expect == "applied" else "rejected"
    facts: dict[str, Any] = {
        "event_id": f"event of {message.id}",
        "outcome": outcome,
        "message_id": message.id,
        "correlation_id": None,
        "account": "acme",
        "app_id": CARE,
        "job_id": None,
        "attempts": 1,
        "received_at": NOW,
        "finished_at": NOW,
        "reason": None if outcome == "applied" else Reason.INVALID,
    }
    return read_event(encode(**(facts | changed)))


def call(seq: int, message: Message, **changed: Any) -> Call:  # noqa: ANN401 - as above
    facts: dict[str, Any] = {
        "seq": seq,
        "arrived": 100.0 + seq,
        "ended": 100.5 + seq,
        "connection": 1,
        "account": ACME.key,
        "app_id": CARE,
        "job": int(message.id.partition("-")[0]),
        "name": json.loads(message.body)["name"],
        "http": 200,
        "status": "0",
        "fault": None,
        "digest": "",
        "applied": True,
        "throttled": False,
        "overlap": False,
        "trailing": False,
        "abandoned": False,
    }
    return Call(**(facts | changed))


def summary(**changed: Any) -> Summary:  # noqa: ANN401 - as above
    counts = dict.fromkeys(
        ("calls", "applied", "throttled", "overlaps", "trailing", "abandoned"), 0
    )
    facts: dict[str, Any] = {"peak": 9, "peak_admitted": 9, "statuses": {}}
    facts |= dict.fromkeys(("first", "last", "used"))
    return Summary(**(counts | facts | changed))


ONE, TWO, ONCE = good(1, 1), good(1, 2), good(2, 1)
KEPT = Evidence(
    messages=[ONE, TWO, ONCE, BAD, ONCE],
    events=[event(ONE), event(TWO), event(ONCE), event(BAD), event(ONCE)],
    letters=[Letter(BAD.id, {"taskedit-reason": "invalid"}, BAD.body.encode())],
    calls=[call(1, ONE), call(2, TWO), call(3, ONCE)],
    summaries={ACME.key: summary(), GLOBEX.key: summary()},
    pauses=[Pause(GLOBEX.name, 100.0, 110.0)],
    left=0,
    said="",
)

BROKEN: dict[str, tuple[str, Callable[[Evidence], Evidence]]] = {
    "an event that never came": (
        "nothing lost",
        lambda seen: replace(seen, events=[event(ONE), event(ONCE), event(BAD), event(ONCE)]),
    ),
    "an edit left in a queue": ("nothing lost", lambda seen: replace(seen, left=1)),
    "a rejection without a dead letter": (
        "nothing lost",
        lambda seen: replace(seen, letters=[]),
    ),
    "a dead letter too many": (
        "nothing lost",
        lambda seen: replace(seen, letters=[*seen.letters, *seen.letters]),
    ),
    "a dead letter with another body": (
        "nothing lost",
        lambda seen: replace(seen, letters=[Letter(BAD.id, {}, b"{}")]),
    ),
    "a later edit of a job called first": (
        "in order",
        lambda seen: replace(seen, calls=[call(1, TWO), call(2, ONE), call(3, ONCE)]),
    ),
    "an earlier edit of a job called again": (
        "in order",
        lambda seen: replace(seen, calls=[*seen.calls, call(4, ONE)]),
    ),
    "two calls of a job at once": (
        "in order",
        lambda seen: replace(seen, calls=[call(1, ONE, overlap=True), *seen.calls[1:]]),
    ),
    "a call that was refused as too many": (
        "within the limit",
        lambda seen: replace(seen, summaries={**seen.summaries, ACME.key: summary(throttled=1)}),
    ),
    "a second that is too full": (
        "within the limit",
        lambda seen: replace(
            seen, summaries={**seen.summaries, GLOBEX.key: summary(peak=GLOBEX.allowed + 1)}
        ),
    ),
    "an account that waits for another": (
        "fair",
        lambda seen: replace(seen, pauses=[Pause(GLOBEX.name, 200.0, 210.0)]),
    ),
    "a good edit rejected": (
        "blame is right",
        lambda seen: replace(
            seen,
            events=[event(ONE, outcome="rejected", reason=Reason.EXHAUSTED), *seen.events[1:]],
        ),
    ),
    "a repeat called again": (
        "repeats are harmless",
        lambda seen: replace(seen, calls=[*seen.calls, call(4, ONCE)]),
    ),
    "a repeat told with another id": (
        "repeats are harmless",
        lambda seen: replace(seen, events=[*seen.events[:-1], event(ONCE, event_id="another")]),
    ),
    "a secret in a log line": (
        "nothing leaks",
        lambda seen: replace(seen, said=f"signing with {ACME.secret}"),
    ),
}


def test_every_promise_is_kept_when_all_went_well() -> None:
    assert [each.name for each in promises(KEPT) if not each.kept] == []


@pytest.mark.parametrize("trouble", BROKEN)
def test_a_broken_promise_is_seen(trouble: str) -> None:
    name, spoil = BROKEN[trouble]
    broken = [each.name for each in promises(spoil(KEPT)) if not each.kept]
    assert name in broken
