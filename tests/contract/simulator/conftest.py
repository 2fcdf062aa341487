"""One simulator for a module's tests; each begins with none of its cues and no record."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ops.simulator.control import Simulator
from tests.contract.simulator.caller import KEY, SECRET

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def started() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def simulator(started: Simulator) -> Simulator:
    started.clear(record=True)
    started.account(KEY, SECRET)
    started.settings(
        timestamp_window=60,
        clock_offset=0,
        numeric_status=False,
        unique_names=False,
        demand_redial=False,
    )
    return started
