"""A lane that RabbitMQ holds with other arguments: it alone stops, and says what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas import Names
from tests.acceptance.kit import KEY, SECRET, Subscriber, connected, edit, publish, until
from worker.amqp.topology import lane_arguments

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.conftest import NewWorker

ACCOUNTS = f"""
[accounts.acme]
api_key = "{KEY}"
api_secret = "{SECRET}"
app_ids = ["acme-app"]

[accounts.zeta]
api_key = "key-of-zeta"
api_secret = "secret-of-zeta"
app_ids = ["zeta-app"]
"""


def test_a_mismatch_stops_that_lane_only_and_names_argument_values_and_way_out(
    amqp_url: str, namespace: str, new_worker: NewWorker, tmp_path: Path
) -> None:
    lane = f"{namespace}.lane.zeta"
    with connected(amqp_url) as channel:
        other = lane_arguments(Names(namespace)) | {"x-delivery-limit": 5}
        channel.queue_declare(lane, durable=True, arguments=other)
    (tmp_path / "accounts.toml").write_text(ACCOUNTS)
    worker = new_worker(
        ready=False, API_KEY="", API_SECRET="", ACCOUNTS_FILE=str(tmp_path / "accounts.toml")
    )
    why = until(lambda: "inequivalent" in (said := worker.asked("/readyz")[1]) and said)
    for part in (lane, "x-delivery-limit", "'1000'", "'5'", f"delete_queue {lane}"):
        assert part in why
    subscriber = Subscriber(amqp_url, namespace)
    ids = publish(amqp_url, namespace, [edit(1)])
    until(lambda: subscriber.settled() == dict.fromkeys(ids, "applied"))
    with connected(amqp_url) as channel:
        channel.queue_delete(lane)
    worker.ready(30)
    subscriber.close()
