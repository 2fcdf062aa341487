"""Where an edit stands in its lane's order, by which one sent again is known to be too late."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from schemas import Reason
from tests.unit.builders import delivery, headers, properties
from worker.core.identity import OLDEST, Place, place_in, place_of, superseded

if TYPE_CHECKING:
    from worker.core.message import Delivery

NOW = Place(50, 7)


def sent_again(**texts: str) -> Delivery:
    """A message with these headers, and those of a redrive."""
    return delivery(properties=properties(headers=headers(taskedit_redrives="1", **texts)))


def test_a_later_holder_of_the_lane_comes_after_all_that_an_earlier_one_had() -> None:
    assert Place(50, 900) < Place(51, 1) < Place(51, 2)


@pytest.mark.parametrize("written", ["50.7", "0.0", "123456789.1"])
def test_a_place_is_read_as_it_was_written(written: str) -> None:
    assert str(place_in(written)) == written


@pytest.mark.parametrize("text", [None, "", "50", "50.", "-1.2", "a.b", "1.2.3", "٣.1", "9" * 40])
def test_anything_else_is_no_place(text: str | None) -> None:
    assert place_in(text) is None


@pytest.mark.parametrize(
    ("message", "stood"),
    [
        (delivery(), NOW),
        (delivery(properties=properties(headers=headers(taskedit_place="1.1"))), NOW),
        (sent_again(taskedit_place="40.2"), Place(40, 2)),
        (sent_again(), NOW),
        (sent_again(taskedit_event_id="e-1", taskedit_place="40.2"), Place(40, 2)),
        (sent_again(taskedit_event_id="e-1"), OLDEST),
        (sent_again(taskedit_place="60.2"), OLDEST),
    ],
    ids=[
        "a new edit",
        "a publisher's claim",
        "a redrive",
        "even if superseded",
        "a returned letter",
        "a returned letter of no known place",
        "of a journal that is no more",
    ],
)
def test_what_is_sent_again_keeps_its_place(message: Delivery, stood: Place) -> None:
    assert place_of(message, NOW) == stood


def test_what_is_superseded_keeps_the_reason_of_its_first_rejection() -> None:
    for said, reason in (("exhausted", Reason.EXHAUSTED), ("nonsense", Reason.INVALID)):
        verdict = superseded(sent_again(taskedit_reason=said), "new-1")

        assert verdict.reason is reason
        assert "superseded" in verdict.detail
        assert "new-1" in verdict.detail
