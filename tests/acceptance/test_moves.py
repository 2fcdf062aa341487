"""Accounts change while edits wait: an app moves to another account, an account is renamed."""

from __future__ import annotations

import signal
from itertools import pairwise
from typing import TYPE_CHECKING

import pika
import pytest

from tests.acceptance.kit import KEY, SECRET, Subscriber, edit, letters, publish, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ops.rabbitmq.node import Node
    from ops.simulator.control import Simulator
    from tests.acceptance.conftest import NewWorker
    from tests.acceptance.kit import WorkerProcess

JOBS = 20
Settings = dict[str, str]


def table(name: str, key: str, *apps: str) -> str:
    """An account's table of the accounts file."""
    listed = ", ".join(f'"{app}"' for app in apps)
    return (
        f'[accounts.{name}]\napi_key = "{key}"\napi_secret = "{SECRET}"\n'
        f'app_ids = [{listed}]\nrate = "100/s"\n'
    )


BEFORE = table("a", KEY, "acme-app", "old-app") + table("b", "key-of-b", "zeta-app")
AFTER = table("a", KEY, "old-app") + table("b", "key-of-b", "zeta-app", "acme-app")


@pytest.fixture
def accounts(tmp_path: Path, simulator: Simulator) -> Path:
    simulator.account("key-of-b", SECRET, rate="100000/s")
    path = tmp_path / "accounts.toml"
    path.write_text(BEFORE)
    return path


@pytest.fixture
def settings(accounts: Path) -> Settings:
    return {"ACCOUNTS_FILE": str(accounts), "API_KEY": "", "API_SECRET": ""}


@pytest.fixture
def worker(new_worker: NewWorker, settings: Settings) -> WorkerProcess:
    return new_worker(ready=True, **settings)


@pytest.fixture
def told(worker: WorkerProcess, amqp_url: str, namespace: str) -> Iterator[Subscriber]:
    subscriber = Subscriber(amqp_url, namespace)
    yield subscriber
    subscriber.close()


def reload(worker: WorkerProcess) -> None:
    before = len(worker.lines("settings_adopted"))
    worker.signal(signal.SIGHUP)
    until(lambda: len(worker.lines("settings_adopted")) > before)


def unbound(worker: WorkerProcess, key: str) -> bool:
    """Whether the worker has unbound a lane from a key."""
    return any(line["key"] == key for line in worker.lines("lane_unbound"))


def numbered(count: int, first: int = 0, app: str = "acme-app") -> list[dict[str, object]]:
    """Edits of `JOBS` jobs in turn, each with its number as its name."""
    return [edit(1 + n % JOBS, name=str(n), appId=app) for n in range(first, first + count)]


def in_order(simulator: Simulator) -> bool:
    """Whether each job's edits were called once each, in the order of publishing."""
    by_job: dict[int | None, list[int]] = {}
    for call in simulator.calls():
        by_job.setdefault(call.job, []).append(int(call.name or ""))
    return all(before < after for job in by_job.values() for before, after in pairwise(job))


def test_an_app_moved_between_starts_leaves_its_old_lane_though_no_notes_are_left(
    worker: WorkerProcess,
    accounts: Path,
    new_worker: NewWorker,
    settings: Settings,
    broker: Node,
    namespace: str,
) -> None:
    """The second worker has a state folder of its own, as a container has."""

    def lanes() -> set[str]:
        listed = broker.ctl("list_bindings", "destination_name", "routing_key").splitlines()
        lines = (line.split() for line in listed if line.startswith(f"{namespace}.lane."))
        return {queue for queue, key in lines if key == "acme-app"}

    worker.stop()
    accounts.write_text(AFTER)
    new_worker(ready=True, **settings)
    until(lambda: lanes() == {f"{namespace}.lane.b"})


@pytest.mark.slow
def test_an_app_that_moves_under_load_loses_nothing_and_keeps_its_order(
    amqp_url: str,
    namespace: str,
    simulator: Simulator,
    worker: WorkerProcess,
    accounts: Path,
    told: Subscriber,
) -> None:
    simulator.latency("20ms")
    ids = publish(amqp_url, namespace, numbered(400), ids="one")
    until(lambda: len(told.take()) > 40)
    accounts.write_text(AFTER)
    reload(worker)
    ids += publish(amqp_url, namespace, numbered(200, 400), ids="two")
    until(lambda: worker.lines("app_moved"))
    until(lambda: unbound(worker, "acme-app"))
    ids += publish(amqp_url, namespace, numbered(100, 600), ids="three")
    until(lambda: told.settled() == dict.fromkeys(ids, "applied"), 30)
    assert letters(amqp_url, namespace) == []
    calls = simulator.calls()
    assert len(calls) == len(ids), "an edit was called twice, or not at all"
    assert in_order(simulator)
    assert {call.account for call in calls} == {KEY, "key-of-b"}


@pytest.mark.slow
def test_replicas_that_are_changed_one_by_one_reject_nothing(  # noqa: PLR0917 (fixtures)
    amqp_url: str,
    namespace: str,
    simulator: Simulator,
    new_worker: NewWorker,
    settings: Settings,
    worker: WorkerProcess,
    accounts: Path,
    told: Subscriber,
) -> None:
    """The stand-by first: it binds the new lane while the one that serves knows nothing of it."""
    standby = new_worker(ready=True, **settings)
    simulator.latency("20ms")
    ids = publish(amqp_url, namespace, numbered(300), ids="one")
    until(lambda: len(told.take()) > 40)
    accounts.write_text(AFTER)
    reload(standby)
    until(lambda: standby.lines("app_moved"))
    ids += publish(amqp_url, namespace, numbered(100, 300), ids="two")
    # Where lanes spread, the one that was changed may serve the new lane, and hands nothing on.
    until(lambda: worker.lines("edit_handed_on") or len(told.take()) > 300)
    reload(worker)
    ids += publish(amqp_url, namespace, numbered(100, 400), ids="three")
    until(lambda: told.settled() == dict.fromkeys(ids, "applied"), 60)
    assert letters(amqp_url, namespace) == []
    names = [call.name for call in simulator.calls()]
    assert len(names) == len(set(names)), "an edit was called twice"


def test_a_renamed_account_is_called_once_and_its_old_lane_is_named(
    amqp_url: str,
    namespace: str,
    simulator: Simulator,
    worker: WorkerProcess,
    accounts: Path,
    told: Subscriber,
) -> None:
    accounts.write_text(BEFORE.replace("accounts.a]", "accounts.renamed]"))
    reload(worker)
    until(lambda: unbound(worker, "acme-app"))
    ids = publish(amqp_url, namespace, numbered(5), ids="one")
    until(lambda: told.settled() == dict.fromkeys(ids, "applied"))
    until(lambda: f"left over: queue {namespace}.lane.a" in worker.asked("/readyz")[1])
    assert worker.asked("/readyz")[0] == 200
    assert "\ntaskedit_lanes_left_over 1.0" in worker.asked("/metrics")[1]
    accounts.write_text(BEFORE)
    reload(worker)
    until(
        lambda: worker.asked("/readyz")[1] == "ok\n" or "lane.renamed" in worker.asked("/readyz")[1]
    )
    ids += publish(amqp_url, namespace, numbered(5, 5), ids="two")
    until(lambda: told.settled() == dict.fromkeys(ids, "applied"))
    assert len(simulator.calls()) == len(ids), "a copy in the old lane was called too"


def test_the_lane_of_the_account_by_environment_takes_no_copies_once_there_is_a_file(
    amqp_url: str,
    namespace: str,
    new_worker: NewWorker,
    settings: Settings,
    worker: WorkerProcess,
    told: Subscriber,
) -> None:
    """Its notes are on another machine: the name alone is known everywhere."""
    worker.stop()
    new_worker().stop()
    after = new_worker(ready=True, **settings)
    until(lambda: unbound(after, "#"))
    ids = publish(amqp_url, namespace, numbered(5), ids="one")
    until(lambda: told.settled() == dict.fromkeys(ids, "applied"))
    publish(amqp_url, namespace, [edit(appId="nobody")], ids="stray", key="nobody")
    until(lambda: told.settled().get("stray-0") == "rejected")
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
        lane = connection.channel().queue_declare(f"{namespace}.lane.default", passive=True)
        assert lane.method.message_count == 0
