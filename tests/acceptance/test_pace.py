"""A thousand edits published by the command line, applied at the account's full rate."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.acceptance.kit import KEY, SECRET, edit

if TYPE_CHECKING:
    from pathlib import Path

    from ops.simulator.control import Simulator
    from tests.acceptance.conftest import NewWorker

EDITS, RATE = 1000, 100


def test_a_thousand_edits_use_97_percent_of_the_limit_and_none_is_refused(
    amqp_url: str, namespace: str, simulator: Simulator, new_worker: NewWorker, tmp_path: Path
) -> None:
    simulator.account(KEY, SECRET, rate=f"{RATE}/s")
    simulator.latency("50ms")
    new_worker(RATE=f"{RATE}/s")
    file = tmp_path / "edits.jsonl"
    file.write_text("".join(json.dumps(edit(1 + n)) + "\n" for n in range(EDITS)))
    done = subprocess.run(
        (sys.executable, "-m", "worker", "publish", "--wait", str(file)),
        env={"TASKEDIT_AMQP_URL": amqp_url, "TASKEDIT_NAMESPACE": namespace},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    calls = simulator.calls()
    assert len(calls) == EDITS
    assert not any(call.throttled for call in calls)
    seconds = calls[-1].arrived - calls[0].arrived
    assert (EDITS - 1) / seconds / RATE >= 0.97
