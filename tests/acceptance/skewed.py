"""`taskedit run` on a machine whose wall clock is SKEW seconds ahead.

`python -m tests.acceptance.skewed run`. Only the wall clock: time goes by as elsewhere.
"""

from __future__ import annotations

import datetime as dt
import os
import time
from typing import Self

AHEAD = float(os.environ["SKEW"])
right_time = time.time


class Shifted(dt.datetime):
    """`datetime` whose now is the wrong one."""

    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> Self:
        """The wrong time."""
        return super().now(tz) + dt.timedelta(seconds=AHEAD)


def shifted_time() -> float:
    """Seconds since the epoch, as the wrong clock has them."""
    return right_time() + AHEAD


if __name__ == "__main__":
    time.time, dt.datetime = shifted_time, Shifted  # type: ignore[misc]
    from worker.cli import main  # what it imports has to find the wrong clock

    main()
