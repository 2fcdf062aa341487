"""Pauses, as the control stream tells of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from schemas import ControlEntry
from worker.fleet.control import Pauses

if TYPE_CHECKING:
    from typing import Literal

NOW = datetime(2026, 11, 27, tzinfo=UTC)


def entry(number: int, action: Literal["pause", "resume"]) -> ControlEntry:
    return ControlEntry(
        id=f"entry-{number}",
        action=action,
        account="acme",
        actor="li",
        user="li",
        via="cli",
        at=NOW,
    )


def test_a_pause_that_was_ended_does_not_hold_again_while_the_stream_is_read_anew() -> None:
    pauses, entries = Pauses(), [entry(1, "pause"), entry(2, "resume")]
    assert [pauses.hear(each) for each in entries] == [True, True]

    for each in entries:
        assert not pauses.hear(each)
        assert pauses.of("acme", NOW) is None


def test_a_pause_after_a_stream_was_read_anew_holds() -> None:
    pauses, old = Pauses(), [entry(1, "pause"), entry(2, "resume")]
    for each in (*old, *old, entry(3, "pause")):
        pauses.hear(each)

    assert pauses.of("acme", NOW) == entry(3, "pause")
