"""What was settled lately is known, for an hour and up to 10,000 events."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.builders import event
from worker.core.identity import Identity
from worker.core.memory import EVENTS_AT_MOST, SECONDS_AT_MOST, Memory

KNOWN = Identity("acme", "m-1", bytes(32), 0)
OTHER = replace(KNOWN, digest=b"\x01" * 32)


def named(name: object) -> Identity:
    return Identity("acme", f"m-{name}", bytes(32), 0)


def test_what_was_kept_is_found_by_the_very_same_message_only() -> None:
    memory = Memory()
    kept = event()

    memory.keep(KNOWN, kept, now=0.0)

    assert memory.find(KNOWN, now=1.0) is kept
    assert memory.find(OTHER, now=1.0) is None


def test_what_the_journal_recalls_is_found_by_the_events_id_whatever_the_outcome() -> None:
    for outcome in ("applied", "rejected"):
        memory, recalled = Memory(), event(KNOWN.event_id(outcome))

        memory.recall(recalled, now=0.0, age=10.0)

        assert memory.find(KNOWN, now=0.0) is recalled
        assert memory.find(OTHER, now=0.0) is None


def test_an_event_is_known_for_an_hour() -> None:
    memory = Memory()
    memory.keep(KNOWN, event(), now=100.0)
    memory.recall(event(OTHER.event_id("applied")), now=100.0, age=3000.0)

    assert memory.find(KNOWN, now=100.0 + SECONDS_AT_MOST)
    assert not memory.find(KNOWN, now=100.1 + SECONDS_AT_MOST)
    assert memory.find(OTHER, now=700.0)
    assert not memory.find(OTHER, now=700.1)


def test_events_too_old_to_matter_are_not_kept_when_newer_ones_come() -> None:
    memory = Memory()
    memory.keep(KNOWN, event(), now=0.0)
    memory.recall(event("e-1"), now=0.0, age=0.0)

    memory.keep(OTHER, event(), now=SECONDS_AT_MOST + 1)
    memory.recall(event("e-2"), now=SECONDS_AT_MOST + 1, age=0.0)

    assert len(memory) == 2


def test_the_memory_is_bounded_and_forgets_the_oldest_first() -> None:
    memory = Memory()
    names = [named(n) for n in range(EVENTS_AT_MOST + 5)]
    one = event()

    for name in names:
        memory.keep(name, one, now=0.0)
        memory.conflicts(name)
    for number in range(EVENTS_AT_MOST + 5):
        memory.recall(event(str(number)), now=0.0, age=0.0)

    assert len(memory) == 2 * EVENTS_AT_MOST
    assert memory.find(names[4], now=0.0) is None
    assert memory.find(names[5], now=0.0) is one


def test_what_is_kept_again_is_the_newest() -> None:
    memory = Memory()
    first, one = named("first"), event()
    memory.keep(first, one, now=0.0)
    for number in range(EVENTS_AT_MOST - 1):
        memory.keep(named(number), one, now=0.0)

    memory.keep(first, one, now=0.0)
    memory.keep(named("last"), one, now=0.0)

    assert memory.find(first, now=0.0)


def test_an_event_without_an_id_is_nothing_to_recall() -> None:
    memory = Memory()

    memory.recall(event(""), now=0.0, age=0.0)

    assert len(memory) == 0


def test_the_same_message_id_with_another_body_is_a_conflict() -> None:
    memory = Memory()

    found = [memory.conflicts(each) for each in (KNOWN, KNOWN, OTHER, OTHER, KNOWN)]

    assert found == [False, False, True, False, True]


def test_the_same_message_id_at_another_account_is_none() -> None:
    memory = Memory()
    memory.conflicts(KNOWN)

    assert not memory.conflicts(replace(OTHER, account="other"))
