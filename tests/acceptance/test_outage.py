"""When the API or the account is at fault, edits wait: none is used up, buried or overtaken."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.kit import Subscriber, edit, letters, publish, until
from tests.conftest import since

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ops.rabbitmq.node import Node
    from ops.simulator.control import Call, Simulator
    from tests.acceptance.conftest import NewWorker
    from tests.acceptance.kit import WorkerProcess
    from tests.conftest import NewNode


def test_an_edit_that_the_api_always_fails_at_holds_nobody_up_and_is_exhausted_alone(
    amqp_url: str,
    namespace: str,
    simulator: Simulator,
    new_worker: NewWorker,
    events: Subscriber,
) -> None:
    simulator.fault("http", code=500, job=999)
    new_worker(ATTEMPTS="3")
    edits = [edit(1 + n % 40) for n in range(200)]
    edits.insert(50, edit(999))
    ids = publish(amqp_url, namespace, edits)
    until(lambda: len(events.settled()) == len(ids))
    settled = events.settled()
    assert settled.pop(ids[50]) == "rejected"
    assert set(settled.values()) == {"applied"}
    assert [headers["taskedit-reason"] for headers, _ in letters(amqp_url, namespace)] == [
        "exhausted"
    ]


@pytest.mark.slow
def test_one_text_that_a_firewall_refuses_is_rejected_and_400_good_edits_are_applied_meanwhile(
    amqp_url: str,
    namespace: str,
    simulator: Simulator,
    new_worker: NewWorker,
    events: Subscriber,
) -> None:
    simulator.fault("http", code=403, job=999)
    worker = new_worker(RATE="50/s")
    edits = [edit(1 + n % 100) for n in range(400)]
    edits.insert(50, edit(999))
    ids = publish(amqp_url, namespace, edits)
    bad = ids[50]
    until(lambda: len(events.settled().keys() - {bad}) == 400, 25, "one edit holds the others up")
    publish(amqp_url, namespace, [edit(1)], ids="later")
    until(lambda: bad in events.settled(), 60, "it is not settled")
    rejected = [event["data"] for event in events.take() if event["data"]["outcome"] == "rejected"]
    assert [(one["messageId"], one["reason"]) for one in rejected] == [(bad, "api_rejected")]
    assert rejected[0]["apiStatus"] == "http:403"
    assert len(worker.lines("lane_suspended")) == 1
    assert [headers["taskedit-reason"] for headers, _ in letters(amqp_url, namespace)] == [
        "api_rejected"
    ]


@pytest.mark.slow
@pytest.mark.parametrize("share", [1 / 3, 1 / 2])
def test_a_brownout_uses_nobody_up_and_the_account_goes_on(
    amqp_url: str,
    namespace: str,
    simulator: Simulator,
    new_worker: NewWorker,
    events: Subscriber,
    share: float,
) -> None:
    simulator.fault("http", code=502, form="html", share=share)
    new_worker(RATE="100/s")
    ids = publish(amqp_url, namespace, [edit(1 + n) for n in range(600)])
    until(lambda: len(events.settled()) >= 550, 40, "the account does not go on")
    until(lambda: events.settled() == dict.fromkeys(ids, "applied"), 60)
    assert not letters(amqp_url, namespace)


def lasted(simulator: Simulator) -> float:
    """Seconds from the first call to the last."""
    calls = simulator.calls()
    return calls[-1].arrived - calls[0].arrived


@pytest.mark.parametrize(
    "seconds", [3, pytest.param(120, marks=[pytest.mark.slow, pytest.mark.timeout(300)])]
)
def test_a_lone_edit_is_not_used_up_by_an_outage(
    amqp_url: str,
    namespace: str,
    simulator: Simulator,
    new_worker: NewWorker,
    events: Subscriber,
    seconds: int,
) -> None:
    simulator.fault("http", code=502, form="html")
    worker = new_worker(ATTEMPTS="2")
    publish(amqp_url, namespace, [edit(1)])
    until(lambda: worker.lane()["state"] == "suspended", 30, "it is not taken for an outage")
    until(lambda: lasted(simulator) >= seconds, seconds + 70)
    simulator.clear()
    until(lambda: events.settled() == {"m-0": "applied"}, 70)
    assert not letters(amqp_url, namespace)


@pytest.mark.slow
def test_a_suspended_lane_gives_its_window_back_in_order_and_takes_it_again(
    amqp_url: str,
    namespace: str,
    simulator: Simulator,
    new_worker: NewWorker,
    events: Subscriber,
) -> None:
    worker = new_worker(HOLD="10s", CONNECT_TIMEOUT="1s", CALL_TIMEOUT="1s")
    suspended(simulator, worker, events, amqp_url, namespace, edits=500, give_backs=1)
    assert not letters(amqp_url, namespace)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_rabbitmq_never_closes_the_channel_of_a_lane_suspended_for_three_minutes(
    new_node: NewNode, namespace: str, simulator: Simulator, new_worker: NewWorker
) -> None:
    """Its acknowledgement timeout of 60 s strikes after 60 to 120 s."""
    node = new_node(config="consumer_timeout = 60000")
    worker = new_worker(HOLD="20s", AMQP_URL=node.amqp_url)
    events = Subscriber(node.amqp_url, namespace)
    # It gives back each 15 s: HOLD, less a quarter to settle in.
    suspended(simulator, worker, events, node.amqp_url, namespace, edits=2000, give_backs=12)
    events.close()
    assert not letters(node.amqp_url, namespace)
    assert "timed out" not in node.log()
    assert not worker.lines("consumer_cancelled") + worker.lines("connection_lost")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_lane_that_rabbitmq_cancels_for_late_acks_is_consumed_again_in_order(
    broker: Node,
    namespace: str,
    simulator: Simulator,
    new_worker: NewWorker,
    events: Subscriber,
) -> None:
    if not since(broker, 4, 3):
        pytest.skip("before 4.3 RabbitMQ closes the channel instead")
    definition = '{"consumer-timeout": 3000}'  # of it and x-consumer-timeout the lower counts
    broker.ctl("set_policy", namespace, f"^{namespace}[.]lane", definition)
    worker = new_worker()
    simulator.state("balance_gone")
    ids = publish(broker.amqp_url, namespace, [edit(1 + n % 70) for n in range(500)])
    until(lambda: len(worker.lines("consumer_cancelled")) >= 2, 60, "it is never cancelled")
    simulator.state("running")
    until(lambda: events.settled() == dict.fromkeys(ids, "applied"), 90)
    in_order([call for call in simulator.calls() if call.applied])
    assert not letters(broker.amqp_url, namespace)
    broker.ctl("clear_policy", namespace)


def suspended(
    simulator: Simulator,
    worker: WorkerProcess,
    events: Subscriber,
    url: str,
    namespace: str,
    *,
    edits: int,
    give_backs: int,
) -> None:
    """Have the balance gone while a full queue waits, until so many windows were given back."""
    simulator.state("balance_gone")
    ids = publish(url, namespace, [edit(1 + n % 70, name=f"{n:05}") for n in range(edits)])
    until(lambda: worker.lane()["state"] == "suspended")
    until(lambda: not events.take() and worker.lane()["given_back"] >= give_backs, 20 * give_backs)
    simulator.state("running")
    until(lambda: events.settled() == dict.fromkeys(ids, "applied"), 90)
    in_order([call for call in simulator.calls() if call.applied])


def in_order(calls: Sequence[Call]) -> None:
    """Fail unless each job's calls are in the order of their names."""
    by_job = defaultdict(list)
    for call in calls:
        by_job[call.job].append(call.name or "")
    for job, names in by_job.items():
        assert names == sorted(names), f"job {job} is out of order"
