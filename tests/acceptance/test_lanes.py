"""`taskedit lanes` over a fleet: three replicas, twelve accounts, and whatever happens to them."""

from __future__ import annotations

import json
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.console import Console
from tests.acceptance.kit import SECRET, edit, publish, until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from ops.simulator.control import Simulator
    from tests.acceptance.conftest import NewWorker
    from tests.acceptance.kit import WorkerProcess

ACCOUNTS = [f"account-{number:02}" for number in range(12)]
SUSPENDED, PAUSED = "account-03", "account-07"
SOON = 6.0
"""Seconds in which `lanes` has to be right."""

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(300)]


@pytest.fixture
def replicas(
    simulator: Simulator, new_worker: NewWorker, tmp_path: Path
) -> dict[str, WorkerProcess]:
    for name in ACCOUNTS:
        simulator.account(f"key-{name}", SECRET, rate="100000/s")
    path = tmp_path / "accounts.toml"
    path.write_text(
        "".join(
            f'[accounts.{name}]\napi_key = "key-{name}"\napi_secret = "{SECRET}"\n'
            f'app_ids = ["{name}"]\nrate = "2/s"\n'
            for name in ACCOUNTS
        )
    )
    settings = {"API_KEY": "", "API_SECRET": "", "ACCOUNTS_FILE": str(path), "HEARTBEAT": "1s"}
    workers = {
        name: new_worker(ready=False, REPLICA=name, **settings)
        for name in ("east", "west", "north")
    }
    for worker in workers.values():
        worker.ready(40)
    return workers


@pytest.fixture
def console(amqp_url: str, namespace: str, tmp_path: Path) -> Console:
    settings = {"TASKEDIT_AMQP_URL": amqp_url, "TASKEDIT_NAMESPACE": namespace}
    return Console(settings, tmp_path)


class Watch:
    """`taskedit lanes --watch --json`, and the last that it said of each account."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.last: dict[str, dict[str, Any]] = {}
        self._process = process
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            row = json.loads(line)
            self.last[row["account"]] = row

    def of(self, what: str) -> dict[str, Any]:
        """Account to its state, its replica and so on."""
        return {name: row[what] for name, row in self.last.items()}

    def end(self) -> None:
        self._process.terminate()
        self._reader.join(10)
        self._process.communicate(timeout=10)


@pytest.fixture
def watch(console: Console, replicas: dict[str, WorkerProcess]) -> Iterator[Watch]:
    del replicas
    watch = Watch(console.begun("lanes", "--watch", "--json"))
    yield watch
    watch.end()


def test_lanes_is_right_soon_after_a_suspension_a_pause_a_death_and_recovery(
    amqp_url: str,
    namespace: str,
    simulator: Simulator,
    replicas: dict[str, WorkerProcess],
    console: Console,
    watch: Watch,
) -> None:
    for name in ACCOUNTS:
        publish(
            amqp_url,
            namespace,
            [edit(1 + n, appId=name) for n in range(300)],
            ids=name,
            key=name,
        )
    states: dict[str, object] = dict.fromkeys(ACCOUNTS, "running")
    until(lambda: watch.of("state") == states and all(watch.of("rate_used").values()), 60)
    assert set(watch.of("rate_allowed").values()) == {2.0}
    assert all(0 < waiting <= 300 for waiting in watch.of("waiting").values())
    assert all(0 < seconds <= 150 for seconds in watch.of("seconds_left").values())

    simulator.answer("-3", account=f"key-{SUSPENDED}")
    until(lambda: simulator.summary()[f"key-{SUSPENDED}"].statuses.get("-3"), 30)
    states[SUSPENDED] = "suspended"
    until(lambda: watch.of("state") == states, SOON)
    assert watch.last[SUSPENDED]["api_status"] == "-3"
    assert watch.last[SUSPENDED]["seconds_left"] is None

    console.run("pause", PAUSED, "--why", "by hand")
    states[PAUSED] = "paused"
    until(lambda: watch.of("state") == states, SOON)
    assert watch.last[PAUSED]["paused"]["why"] == "by hand"
    until(lambda: watch.last[PAUSED]["replica"] is None, SOON, "somebody serves what is paused")

    dead = str(watch.last["account-00"]["replica"])
    its_own = {name for name, replica in watch.of("replica").items() if replica == dead}
    replicas[dead].kill()
    until(lambda: dead not in watch.of("replica").values(), SOON, "the dead serves still")
    others = set(replicas) - {dead}
    until(lambda: {watch.last[name]["replica"] for name in its_own} <= others, 30)
    until(lambda: watch.of("state") == states, SOON)

    simulator.clear()
    console.run("resume", PAUSED)
    states[PAUSED] = "running"
    until(lambda: watch.last[PAUSED]["state"] == "running", SOON)
    applied = simulator.summary()[f"key-{SUSPENDED}"].applied
    until(lambda: simulator.summary()[f"key-{SUSPENDED}"].applied > applied, 90)
    states[SUSPENDED] = "running"
    until(lambda: watch.of("state") == states, SOON)
    replicas[dead].start()
    replicas[dead].ready(40)
    until(lambda: f"replica {dead} " in console.run("lanes").stdout, SOON)
    once = [json.loads(line) for line in console.run("lanes", "--json").stdout.splitlines()]
    assert {row["account"]: row["state"] for row in once} == states
