"""A thousand edits published by the command line, applied at the account's full rate."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.kit import KEY, SECRET, edit

if TYPE_CHECKING:
    from pathlib import Path

    from ops.simulator.control import Simulator
    from tests.acceptance.conftest import NewWorker

EDITS, RATE = 1000, 100
TRIES = 3
"""No call may ever be refused; the share used is the best of these, for the machine may be busy."""


@pytest.mark.alone
def test_a_thousand_edits_use_97_percent_of_the_limit_and_none_is_refused(
    amqp_url: str, namespace: str, simulator: Simulator, new_worker: NewWorker, tmp_path: Path
) -> None:
    simulator.account(KEY, SECRET, rate=f"{RATE}/s")
    simulator.latency("50ms")
    new_worker(RATE=f"{RATE}/s")
    file = tmp_path / "edits.jsonl"
    file.write_text("".join(json.dumps(edit(1 + n)) + "\n" for n in range(EDITS)))
    shares: list[float] = []
    while len(shares) < TRIES and max(shares, default=0.0) < 0.97:
        shares.append(share(file, amqp_url, namespace, simulator))
    assert max(shares) >= 0.97, shares


def share(file: Path, amqp_url: str, namespace: str, simulator: Simulator) -> float:
    """Publish the file and wait; the share of the limit that was used meanwhile."""
    before = len(simulator.calls())
    done = subprocess.run(
        (sys.executable, "-m", "worker", "publish", "--wait", str(file)),
        env={"TASKEDIT_AMQP_URL": amqp_url, "TASKEDIT_NAMESPACE": namespace},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    calls = simulator.calls()[before:]
    assert len(calls) == EDITS
    assert not any(call.throttled for call in calls)
    seconds = calls[-1].arrived - calls[0].arrived
    return (EDITS - 1) / seconds / RATE
