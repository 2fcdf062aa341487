"""Half a minute of chaos, and the control that shows that a loss would be seen."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.chaos.__main__ import EARLY_ACK, IMPATIENCE
from tests.chaos.broker import PLUGINS, One
from tests.chaos.plan import cuts, plan
from tests.chaos.run import run
from tests.chaos.stage import Scene, Stage

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import NewNode

SECONDS = 30.0
CONTROL = 10.0
SEED = int(os.environ.get("TASKEDIT_CHAOS_SEED", "11"))

pytestmark = pytest.mark.timeout(240)


def test_no_promise_is_broken_whatever_breaks(new_node: NewNode, tmp_path: Path) -> None:
    scene = Scene(replicas=2)
    planned = plan(
        SEED,
        SECONDS,
        replicas=2,
        heartbeat=scene.beat,
        rate=scene.rate,
        load=scene.load,
        disasters=True,
    )
    with Stage(One(new_node(plugins=PLUGINS)), tmp_path, scene, SEED) as stage:
        report = run(stage, planned, SECONDS, tell=print)
    assert not report.broken, f"seed {SEED}\n{report}"
    assert report.published > 500, "there was too little to lose: the run proves nothing"


@pytest.mark.slow
def test_a_worker_that_acks_before_the_confirm_is_seen_to_lose_edits(
    new_node: NewNode, tmp_path: Path
) -> None:
    scene = Scene(replicas=1, load=80, command=EARLY_ACK)
    with Stage(One(new_node()), tmp_path, scene, SEED) as stage:
        report = run(stage, cuts(CONTROL, replicas=1), CONTROL, tell=print, patience=IMPATIENCE)
    assert report.lost, f"nothing was lost, so a loss would not be seen\n{report}"
