"""The clocks for whatever relies on others' time going on while this machine may stand still."""

from __future__ import annotations

import time

from worker.core.clock import Moment

_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # Linux alone has it


def moment() -> Moment:
    """Read them now; callable from any thread."""
    return Moment(time.monotonic(), time.clock_gettime(_BOOT), time.time())
