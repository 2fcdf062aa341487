from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.chaos.proxy import Network
from worker.core.rate_limit import Rate
from worker.deadletters import redrive as rounds
from worker.deadletters.browse import browse
from worker.deadletters.canary import RedriveOptions, RedriveProgress
from worker.deadletters.history import JobHistory
from worker.deadletters.letter import read
from worker.deadletters.plan import Step, planned
from worker.deadletters.redrive import Redrive
from worker.deadletters.visit import VisitFailureKind

if TYPE_CHECKING:
    import pytest

    from ops.rabbitmq.node import Node
    from tests.contract.deadletters.conftest import DeadQueue
    from worker.core.message import Delivery
    from worker.deadletters.letter import Letter
    from worker.deadletters.plan import RedriveAction
    from worker.deadletters.visit import Broker


def moves(visited: Broker) -> tuple[RedriveAction, ...]:
    """A plan to send everything that is in the queue now."""
    found: list[Letter] = []

    def see(delivery: Delivery) -> None:
        found.append(read(delivery, len(found) + 1))

    assert browse(visited, "a test", see) == 0
    return planned(found, JobHistory.of(found), {}).moves


def carried_out(
    visited: Broker, plan: tuple[RedriveAction, ...], pace: RedriveOptions | None = None
) -> RedriveProgress:
    begun = Redrive(visited, "a test", plan, pace or RedriveOptions())
    assert begun.run(lambda _: None) is None
    return begun.done


def test_every_letter_goes_to_its_lane_in_the_order_of_their_deaths(
    dead: DeadQueue, visited: Broker
) -> None:
    lanes = {name: dead.lane(name) for name in ("acme", "zeta")}
    dead.put(range(50, 100), "zeta")
    dead.put(range(50), "acme")
    assert carried_out(visited, moves(visited)).sent == 100
    assert dead.drained(lanes["acme"]) == [str(number) for number in range(50)]
    assert dead.drained(lanes["zeta"]) == [str(number) for number in range(50, 100)]
    assert dead.drained() == []


def test_letters_are_given_back_and_taken_anew_when_they_have_been_held_for_long(
    dead: DeadQueue, visited: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rounds by time, by bytes, and with a letter that nobody wants in between."""
    lane = dead.lane()
    dead.put(range(60))
    plan = [one for number, one in enumerate(moves(visited)) if number % 10]
    pace = RedriveOptions(rates=(Rate(200, 1.0),), hold=0.1)
    assert carried_out(visited, tuple(plan), pace) == RedriveProgress(sent=54)
    assert len(dead.drained(lane)) == 54
    assert dead.drained() == [str(number) for number in range(0, 60, 10)]
    dead.put(range(60))
    monkeypatch.setattr(rounds, "HELD_BYTES", plan[0].size * 7)
    assert carried_out(visited, moves(visited)) == RedriveProgress(sent=60)
    assert dead.drained(lane) == [str(number) for number in range(60)]


def test_letters_that_come_in_or_are_gone_meanwhile_are_no_trouble(
    dead: DeadQueue, visited: Broker
) -> None:
    lane = dead.lane()
    dead.put(range(10))
    plan = moves(visited)
    assert dead.drained()[:5] == ["0", "1", "2", "3", "4"]
    dead.put([*range(5), 77])
    assert carried_out(visited, plan) == RedriveProgress(sent=5, gone=5)
    assert dead.drained(lane) == [str(number) for number in range(5)]
    assert dead.drained() == ["77"]


def test_copies_of_a_letter_end_together(dead: DeadQueue, visited: Broker) -> None:
    lane = dead.lane()
    dead.put([1, 2, 1, 1])
    assert carried_out(visited, moves(visited)) == RedriveProgress(sent=2)
    assert dead.drained(lane) == ["1", "2"]
    assert dead.drained() == []


def test_what_no_queue_takes_or_one_refuses_stays(dead: DeadQueue, visited: Broker) -> None:
    limits = {"x-queue-type": "classic", "x-max-length": 2, "x-overflow": "reject-publish"}
    lane = dead.lane("full", **limits)
    dead.put(range(20), "full")
    dead.put(range(20, 25), "nobody")
    assert carried_out(visited, moves(visited)) == RedriveProgress(sent=2, refused=18, unroutable=5)
    sent, left = dead.drained(lane), dead.drained()
    assert len(sent) == 2
    assert sorted(map(int, sent + left)) == list(range(25))


def test_a_canary_hears_outcomes_from_the_events_and_gives_up_when_none_comes(
    dead: DeadQueue, visited: Broker
) -> None:
    lane = dead.lane()
    dead.put(range(30))
    pace = RedriveOptions(canary=Step(3, 0.1), patience=0.3)
    done = carried_out(visited, moves(visited), pace)
    assert (done.sent, done.applied) == (3, 0)
    assert done.stopped.startswith("3 outcomes did not come")
    assert dead.drained(lane) == ["0", "1", "2"]
    assert dead.drained() == [str(number) for number in range(3, 30)]


def test_a_mended_letter_goes_out_with_its_new_body(dead: DeadQueue, visited: Broker) -> None:
    lane = dead.lane()
    dead.put([1])
    [move] = moves(visited)
    carried_out(visited, (replace(move, body=b'{"jobId": 7}'),))
    taken = dead.taken(lane)
    assert taken is not None
    assert json.loads(taken[1]) == {"jobId": 7}
    assert taken[0].headers.text("taskedit-redrives") == "1"


def test_a_connection_that_is_lost_loses_no_letter(
    broker: Node, dead: DeadQueue, visited: Broker
) -> None:
    lane = dead.lane()
    dead.put(range(50))
    plan, pace = moves(visited), RedriveOptions(rates=(Rate(50, 1.0),))
    with Network() as network:
        proxy = network.proxy(broker.port)
        url = visited.urls[0].replace(f":{broker.port}/", f":{proxy.port}/")
        begun = Redrive(replace(visited, urls=(url,)), "a test", plan, pace)
        trouble = begun.run(lambda done: proxy.reset() if done.sent >= 10 else None)
    assert trouble is not None
    assert trouble.kind is VisitFailureKind.ABSENT
    sent, left = dead.drained(lane), dead.drained()
    assert len(sent) < 50, "it was over before the connection was cut"
    assert set(sent + left) == {str(number) for number in range(50)}
    assert carried_out(visited, plan).gone == 50
