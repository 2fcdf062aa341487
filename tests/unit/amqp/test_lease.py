"""Time that goes on while this machine may stand still: the clock that moved most counts."""

from __future__ import annotations

import pytest

from worker.amqp.lease import Moment, elapsed

ASKED = Moment(monotonic=100.0, boot=5000.0, wall=1_700_000_000.0)


@pytest.mark.parametrize(
    ("passed", "seconds"),
    [
        (Moment(0.5, 0.5, 0.5), 0.5),
        (Moment(0.1, 22.1, 22.1), 22.1),
        (Moment(0.1, 0.1, 22.1), 22.1),
        (Moment(3.0, 3.0, -3600.0), 3.0),
        (Moment(0.1, 22.1, -3600.0), 22.1),
    ],
    ids=["nothing happened", "suspended", "paused from outside", "set back", "suspended, set back"],
)
def test_the_clock_that_has_moved_most_says_how_much_time_has_passed(
    passed: Moment, seconds: float
) -> None:
    now = Moment(*(before + more for before, more in zip(ASKED, passed, strict=True)))

    assert elapsed(ASKED, now) == pytest.approx(seconds)
