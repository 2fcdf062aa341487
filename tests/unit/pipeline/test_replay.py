"""What the journal tells whoever takes a lane."""

from __future__ import annotations

import json
from dataclasses import replace
from time import time
from typing import TYPE_CHECKING

import pytest

from tests.unit.builders import account, event, headers
from worker.core.dedup import RecentOutcomes
from worker.core.identity import Identity, Place
from worker.core.rate_limit import VALID_FOR, reservation
from worker.pipeline.replay import JournalReplay

if TYPE_CHECKING:
    from worker.core.message import Publication

NOW = 5000.0


def recall(*rates: str) -> JournalReplay:
    found = JournalReplay(RecentOutcomes(), lambda: NOW)
    found.watch([account(f"a{number}", rate) for number, rate in enumerate(rates)])
    return found


def told(name: str = "a0", attempts: object = 1) -> Publication:
    """An event of an account."""
    body = json.dumps({"data": {"account": name, "attempts": attempts}}).encode()
    return event("e", body)


@pytest.mark.parametrize("age", [0, -7200, 7200])
def test_an_event_of_the_journal_is_known_for_an_hour_whatever_its_own_clock(age: int) -> None:
    memory = RecentOutcomes()
    known = Identity("acme", "m-1", bytes(32), 0)

    stamped = event(known.event_id("applied"), timestamp=int(time() - age))
    JournalReplay(memory, lambda: NOW).hear(stamped)

    assert memory.find(known, NOW + 3600)


@pytest.mark.parametrize("stamp", [None, 0, 2**60])
def test_an_event_without_a_time_or_with_one_to_come_is_known(stamp: int | None) -> None:
    memory = RecentOutcomes()
    known = Identity("acme", "m-1", bytes(32), 0)

    JournalReplay(memory, lambda: NOW).hear(event(known.event_id("applied"), timestamp=stamp))

    assert memory.find(known, NOW + 3599)


def test_the_newest_applied_edit_of_a_job_is_told_by_the_place_in_its_events_headers() -> None:
    memory = RecentOutcomes()
    data = {"account": "a0", "jobId": 7, "messageId": "m-2", "outcome": "applied"}
    rejected = data | {"jobId": 8, "outcome": "rejected"}

    for each in (data, rejected):
        body = json.dumps({"data": each}).encode()
        placed = event("e", body, headers=headers(taskedit_place="50.2"))
        JournalReplay(memory, lambda: NOW).hear(placed)

    assert memory.newer("a0", 7, Place(50, 1)) == (Place(50, 2), "m-2")
    assert memory.newer("a0", 8, Place(0, 0)) is None


def test_calls_are_counted_for_accounts_that_are_served() -> None:
    found = recall("20/s,600/m", "20/s")

    for age, attempts in ((50, 2), (10, 1)):
        found.hear(told(attempts=attempts), age)
    found.hear(told("a1", attempts=3))
    found.hear(told("nobody"))

    taken = found.taken("a0")
    assert taken == pytest.approx([NOW - 10, NOW - 50, NOW - 50], abs=2)
    assert found.taken("a1") == pytest.approx([NOW] * 3, abs=2)
    assert found.taken("nobody") is None


def test_no_more_calls_are_remembered_than_the_longest_window_allows() -> None:
    found = recall("20/s,60/m")

    for _ in range(100):
        found.hear(told(attempts=3))

    assert len(found.taken("a0") or []) == 60


def test_accounts_that_stay_keep_what_was_counted_when_others_come() -> None:
    found = recall("20/s,60/m")
    found.hear(told())

    found.watch([account("a0", "20/s,60/m"), account("new", "5/s,60/m")])

    assert len(found.taken("a0") or []) == 1
    assert found.taken("new") == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"\xff\xfe",
        b"[]",
        b"7",
        b"{}",
        b'{"data": null}',
        b'{"data": {"account": "a0"}}',
        b'{"data": {"account": "a0", "attempts": null}}',
        b'{"data": {"account": "a0", "attempts": "3"}}',
        b'{"data": {"account": "a0", "attempts": Infinity}}',
        b'{"data": {"account": "a0", "attempts": NaN}}',
        b'{"data": {"account": "a0", "attempts": -3}}',
        b'{"data": {"account": ["a0"], "attempts": 3}}',
        b"[" * 100_000,
    ],
)
def test_what_others_publish_to_the_journal_is_passed_over(body: bytes) -> None:
    found = recall("20/s,60/m")

    found.hear(event("e", body))

    assert found.taken("a0") == []


def test_an_event_that_claims_countless_calls_fills_the_window_and_no_more() -> None:
    found = recall("20/s,60/m")

    found.hear(told(attempts=10**15))

    assert len(found.taken("a0") or []) == 60


def test_a_block_of_slots_counts_as_used_up_whatever_came_of_it() -> None:
    found = recall("20/s,60/m")
    for age in (40, 30):
        found.hear(reservation("journal", "a0", 20, 1, "b"), age)
    found.hear(told(attempts=15), 35)  # of calls that had slots of the blocks

    taken = found.taken("a0") or []

    assert taken == pytest.approx([NOW - 30 + VALID_FOR] * 20 + [NOW - 40 + VALID_FOR] * 20, abs=2)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"account": "a0"}', b'{"account": 1, "calls": 1}']
    + [b'{"account": "a0", "calls": %s}' % calls for calls in (b"-1", b"0", b"true", b'"1"')],
)
def test_a_block_that_is_none_of_ours_counts_nothing(body: bytes) -> None:
    found = recall("20/s,60/m")
    block = reservation("journal", "a0", 20, int(time()), "b")

    found.hear(replace(block, body=body))

    assert found.taken("a0") == []
