"""A connection with fewer channels than accounts: those that have one are served."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.acceptance.kit import Subscriber, edit, publish, until

if TYPE_CHECKING:
    from pathlib import Path

    from ops.simulator.control import Simulator
    from tests.acceptance.conftest import NewWorker
    from tests.conftest import NewNode

ACCOUNTS, CHANNELS = 12, 8
SERVED = CHANNELS - 4
"""Without the lease's, the strays', and two that are kept free."""


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_accounts_that_have_a_channel_are_served_and_the_others_are_told(
    new_node: NewNode, simulator: Simulator, new_worker: NewWorker, tmp_path: Path
) -> None:
    node = new_node(config=f"channel_max = {CHANNELS}\n")
    path = tmp_path / "accounts.toml"
    lines = []
    for number in range(ACCOUNTS):
        simulator.account(f"key-{number}", "a-secret", rate="1000/s")
        lines.append(f'[accounts.a{number}]\napi_key = "key-{number}"\napi_secret = "a-secret"')
        lines.append(f'app_ids = ["app{number}"]')
    path.write_text("\n".join(lines))
    settings = {"API_KEY": "", "API_SECRET": "", "ACCOUNTS_FILE": str(path)}
    worker = new_worker(ready=False, AMQP_URL=node.amqp_url, NAMESPACE="task-edit", **settings)
    until(lambda: len(worker.lines("subscribed")) >= SERVED + 1, 40)
    keys = {f"app{number}" for number in range(ACCOUNTS)}
    until(lambda: keys <= set(node.ctl("list_bindings", "routing_key").split()), 40)
    subscriber = Subscriber(node.amqp_url, "task-edit")

    for key in sorted(keys):
        edits = [edit(job, appId=key) for job in range(1, 6)]
        publish(node.amqp_url, "task-edit", edits, ids=key, key=key)

    until(lambda: len(subscriber.take()) == 5 * SERVED, 40)
    assert set(subscriber.settled().values()) == {"applied"}
    assert len(worker.lines("no_channel_left")) >= ACCOUNTS - SERVED
    assert "channel_max" in worker.asked("/readyz")[1]
    assert not worker.lines("connection_lost")
    subscriber.close()
