"""Two accounts side by side: what happens to one is not the other's business."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.kit import Subscriber, edit, letters, publish, until

if TYPE_CHECKING:
    from pathlib import Path

    from ops.simulator.control import Simulator
    from tests.acceptance.conftest import NewWorker

ACCOUNTS = """
[accounts.acme]
api_key = "key-of-acme"
api_secret = "secret-of-acme"
app_ids = ["acme-app"]

[accounts.zeta]
api_key = "key-of-zeta"
api_secret = "secret-of-zeta"
app_ids = ["zeta-app"]
"""


@pytest.fixture
def accounts_file(tmp_path: Path, simulator: Simulator) -> Path:
    """Two accounts, both known to the simulator."""
    simulator.account("key-of-zeta", "secret-of-zeta", rate="100000/s")
    path = tmp_path / "accounts.toml"
    path.write_text(ACCOUNTS)
    return path


@pytest.fixture
def two_accounts(new_worker: NewWorker, accounts_file: Path) -> dict[str, str]:
    """Settings of a worker for both, the objects in RabbitMQ declared."""
    settings = {"API_KEY": "", "API_SECRET": "", "ACCOUNTS_FILE": str(accounts_file)}
    assert new_worker(ready=True, **settings).stop() == 0
    return settings


def test_a_suspended_account_keeps_its_200_edits_and_leaves_the_other_alone(
    amqp_url: str,
    namespace: str,
    simulator: Simulator,
    new_worker: NewWorker,
    two_accounts: dict[str, str],
) -> None:
    simulator.answer("-3", account="key-of-acme", seconds=20)
    subscriber = Subscriber(amqp_url, namespace)
    worker = new_worker(ready=True, **two_accounts)
    acme = publish(amqp_url, namespace, [edit(1 + n) for n in range(200)], ids="acme")
    until(lambda: worker.lane("acme")["state"] == "suspended")
    zeta_edits = [edit(1 + n, appId="zeta-app") for n in range(200)]
    zeta = publish(amqp_url, namespace, zeta_edits, ids="zeta", key="zeta-app")
    settled = until(lambda: len(found := subscriber.settled()) >= len(zeta) and found, 10)
    assert settled == dict.fromkeys(zeta, "applied"), "the other account was disturbed"
    assert worker.lane("acme")["state"] == "suspended"
    everything = dict.fromkeys(acme + zeta, "applied")
    until(lambda: subscriber.settled() == everything, 60)
    assert letters(amqp_url, namespace) == []
    assert all(event["data"]["attempts"] == 1 for event in subscriber.events)
    subscriber.close()


FLOOD = 250
RATE = 20


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_flood_of_invalid_edits_leaves_the_other_account_its_calls(
    amqp_url: str,
    namespace: str,
    simulator: Simulator,
    new_worker: NewWorker,
    two_accounts: dict[str, str],
) -> None:
    """Both wait when the worker starts; the calls are counted while edits are refused."""
    subscriber = Subscriber(amqp_url, namespace)
    publish(amqp_url, namespace, [edit(1 + n % 50) for n in range(40 * RATE)], ids="acme")
    unknown = {f"dialFlowIdentity{number}": "x" * 40 for number in range(100)}
    flood = [edit(1 + n, appId="zeta-app", **unknown) for n in range(FLOOD)]
    publish(amqp_url, namespace, flood, ids="flood", key="zeta-app")
    new_worker(ready=True, **two_accounts, RATE=f"{RATE}/s")
    until(lambda: list(subscriber.settled().values()).count("rejected") == FLOOD, 90)
    refused = [
        datetime.fromisoformat(event["data"]["finishedAt"]).timestamp()
        for event in subscriber.events
        if event["data"]["outcome"] == "rejected"
    ]
    subscriber.close()
    calls = [call.arrived for call in simulator.calls()]
    begun, over = min(refused), min(max(refused), max(calls))
    beside = sum(begun <= at <= over for at in calls)
    assert sum(at <= over for at in refused) > FLOOD / 4, "they hardly met"
    assert beside > RATE * (over - begun) / 3, f"{beside} calls in {over - begun:.1f} s"
