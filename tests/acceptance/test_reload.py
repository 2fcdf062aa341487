"""SIGHUP under load: secrets rotated and accounts added without a failed call or a restart."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
import requests

from tests.acceptance.kit import KEY, SECRET, Subscriber, edit, letters, publish, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ops.rabbitmq.node import Node
    from ops.simulator.control import Simulator
    from tests.acceptance.conftest import NewWorker
    from tests.acceptance.kit import WorkerProcess

EDITS = 400


class Files:
    """The accounts file and the secrets beside it, changed as an editor changes files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.accounts = ""

    @property
    def path(self) -> Path:
        return self.folder / "accounts.toml"

    def account(self, name: str, key: str, secret: str) -> None:
        """Add an account."""
        self.secret(name, secret)
        self.accounts += (
            f'[accounts.{name}]\napi_key = "{key}"\napi_secret_file = "{name}.secret"\n'
            f'app_ids = ["{name}-app"]\nrate = "100/s"\n'
        )
        self.write(self.accounts)

    def secret(self, name: str, secret: str) -> None:
        """Put another file in the place of a secret's."""
        fresh = self.folder / "fresh"
        fresh.write_text(f"{secret}\n")
        fresh.rename(self.folder / f"{name}.secret")

    def write(self, text: str) -> None:
        """Put another file in the place of the accounts'."""
        fresh = self.folder / "fresh"
        fresh.write_text(text)
        fresh.rename(self.path)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    folder = tmp_path / "taskedit"
    folder.mkdir()
    found = Files(folder)
    found.account("acme", KEY, SECRET)
    return found


@pytest.fixture
def worker(new_worker: NewWorker, files: Files) -> WorkerProcess:
    return new_worker(ACCOUNTS_FILE=str(files.path), API_KEY="", API_SECRET="")


@pytest.fixture
def told(worker: WorkerProcess, amqp_url: str, namespace: str) -> Iterator[Subscriber]:
    subscriber = Subscriber(amqp_url, namespace)
    yield subscriber
    subscriber.close()


def reload(worker: WorkerProcess, event: str = "settings_adopted") -> None:
    """Send SIGHUP and wait until the log says what came of it."""
    before = len(worker.lines(event))
    worker.signal(signal.SIGHUP)
    until(lambda: len(worker.lines(event)) > before)


def refused(worker: WorkerProcess) -> bool:
    """What the metric says of the last reload."""
    return "\ntaskedit_settings_refused 1.0" in worker.asked("/metrics")[1]


def test_credentials_rotated_and_an_account_added_under_load(
    amqp_url: str,
    namespace: str,
    simulator: Simulator,
    worker: WorkerProcess,
    files: Files,
    told: Subscriber,
) -> None:
    """As providers do it: the new pair holds before the old one ends."""
    simulator.latency("30ms")
    simulator.account("next-key", "next-secret")
    simulator.account("key-of-zeta", "secret-of-zeta")
    assert worker.process is not None
    pid = worker.process.pid
    acme = publish(amqp_url, namespace, [edit(1 + n) for n in range(EDITS)], ids="acme")
    until(lambda: len(told.take()) > EDITS // 10)
    files.secret("acme", "next-secret")
    files.accounts = files.accounts.replace(KEY, "next-key")
    files.account("zeta", "key-of-zeta", "secret-of-zeta")
    reload(worker)
    assert len(told.take()) < EDITS, "it was over before the reload: the test proves nothing"
    until(lambda: worker.asked("/readyz")[0] == 200)
    edits = [edit(1 + n, appId="zeta-app") for n in range(50)]
    zeta = publish(amqp_url, namespace, edits, ids="zeta", key="zeta-app")
    everything = dict.fromkeys(acme + zeta, "applied")
    until(lambda: told.settled() == everything)
    calls = simulator.calls()
    assert {call.status for call in calls} == {"0"}, "a call failed"
    assert len(calls) == len(everything), "a call was repeated"
    assert {call.account for call in calls} == {KEY, "next-key", "key-of-zeta"}
    by_time = [call.account for call in calls if call.account != "key-of-zeta"]
    assert KEY not in by_time[by_time.index("next-key") + 16 :], "the old key is used still"
    assert worker.process.poll() is None
    assert worker.process.pid == pid
    assert not worker.lines("lane_suspended")
    assert len(worker.lines("settings_adopted")) == 1


def test_a_secret_that_the_provider_changes_at_once_costs_no_edit(
    amqp_url: str,
    namespace: str,
    simulator: Simulator,
    worker: WorkerProcess,
    files: Files,
    told: Subscriber,
) -> None:
    """The old one ends first: the account is suspended until the new one is read."""
    simulator.latency("30ms")
    ids = publish(amqp_url, namespace, [edit(1 + n) for n in range(EDITS)])
    until(lambda: len(told.take()) > EDITS // 10)
    simulator.account(KEY, "another-secret")
    ids += publish(amqp_url, namespace, [edit(1 + n) for n in range(EDITS)], ids="late")
    until(lambda: worker.lane("acme")["state"] == "suspended")
    files.secret("acme", "another-secret")
    reload(worker)
    until(lambda: worker.lane("acme")["state"] == "running", 5, "it was not probed at once")
    until(lambda: told.settled() == dict.fromkeys(ids, "applied"))
    assert letters(amqp_url, namespace) == []
    assert all(event["data"]["attempts"] == 1 for event in told.events)


def test_a_bad_file_keeps_the_old_settings_and_says_so(
    amqp_url: str, namespace: str, worker: WorkerProcess, files: Files, told: Subscriber
) -> None:
    assert not refused(worker)
    for bad in ("[accounts", files.accounts.replace("100/s", "fast"), ""):
        files.write(bad)
        reload(worker, "settings_refused")
        assert refused(worker)
    ids = publish(amqp_url, namespace, [edit(1)])
    until(lambda: told.settled() == dict.fromkeys(ids, "applied"))
    assert worker.lane("acme")["rate"] == "100/s"
    files.write(files.accounts.replace("100/s", "50/s"))
    reload(worker)
    assert not refused(worker)
    assert worker.lane("acme")["rate"] == "50/s"
    assert SECRET not in worker.log.read_text()


def test_rabbitmqs_password_is_rotated_without_a_restart(
    broker: Node, namespace: str, new_worker: NewWorker, tmp_path: Path
) -> None:
    where, user = f"{broker.management_url}/api", namespace
    with requests.Session() as session:
        session.trust_env = False

        def change(method: str, path: str, **fields: str) -> requests.Response:
            reply = session.request(method, f"{where}/{path}", json=fields, timeout=10)
            reply.raise_for_status()
            return reply

        def connections() -> list[str]:
            found = session.get(f"{where}/connections", timeout=10).json()
            return [one["name"] for one in found if one.get("user") == user]

        def password(text: str) -> None:
            change("PUT", f"users/{user}", password=text, tags="")

        def address(password: str) -> str:
            return f"amqp://{user}:{password}@127.0.0.1:{broker.port}/%2F"

        password("old-canary")
        change("PUT", f"permissions/%2F/{user}", configure=".*", write=".*", read=".*")
        file = tmp_path / "amqp.url"
        file.write_text(address("old-canary"))
        worker = new_worker(AMQP_URL="", AMQP_URL_FILE=str(file))
        password("new-canary")
        file.write_text(address("new-canary"))
        reload(worker)
        assert worker.lines("settings_adopted")[-1]["changed"] == ["TASKEDIT_AMQP_URL"]
        assert not worker.lines("restart_needed")
        before = len(worker.lines("connected"))
        for name in until(connections, 30, "the management API shows no connection"):
            session.delete(f"{where}/connections/{name}", timeout=10)
        until(lambda: len(worker.lines("connected")) >= before + 2, 30, "it has not come back")
        worker.ready()
        events = Subscriber(broker.amqp_url, namespace)
        ids = publish(broker.amqp_url, namespace, [edit(1)])
        until(lambda: events.settled() == dict.fromkeys(ids, "applied"))
        events.close()
        assert "canary" not in worker.log.read_text()
        worker.stop()
        change("DELETE", f"users/{user}")


def test_a_reload_asked_for_while_the_worker_starts_is_made_once_it_can_be(
    tmp_path: Path, new_worker: NewWorker
) -> None:
    secret, later = tmp_path / "secret", tmp_path / "later"
    os.mkfifo(secret)
    later.write_text(SECRET)
    worker = new_worker(ready=False, API_SECRET="", API_SECRET_FILE=str(secret))
    with secret.open("w") as start:  # waits until the worker reads it
        assert worker.process is not None
        worker.process.send_signal(signal.SIGHUP)
        later.rename(secret)
        start.write(SECRET)

    worker.ready()
    until(lambda: worker.lines("settings_adopted"))
    assert worker.stop() == 0
