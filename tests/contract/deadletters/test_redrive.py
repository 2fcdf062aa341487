from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from tests.chaos.proxy import Network
from tests.contract.deadletters.conftest import done
from worker.amqp.session import Failure, FailureKind, run, task_group
from worker.core.rate_limit import Rate
from worker.deadletters.canary import Step
from worker.deadletters.history import JobHistory
from worker.deadletters.plan import planned
from worker.deadletters.queue import locked
from worker.deadletters.redrive import RedriveOptions, RedriveProgress, redrive

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ops.rabbitmq.node import Node
    from tests.contract.deadletters.conftest import DeadQueue
    from worker.amqp.session import Broker, Session
    from worker.deadletters.plan import RedriveAction


def moves(rabbitmq: Broker) -> tuple[RedriveAction, ...]:
    """A plan to send everything that is in the queue now."""

    async def look(session: Session) -> tuple[RedriveAction, ...]:
        async with locked(session, "a test") as queue:
            letters = [held.letter async for held in queue.letters()]
        return planned(letters, JobHistory.of(letters), {}).moves

    return done(rabbitmq, look)


async def sent_again(
    session: Session,
    *,
    plan: Sequence[RedriveAction],
    pace: RedriveOptions,
    progress: RedriveProgress,
) -> None:
    async with locked(session, "a test") as queue:
        await redrive(session, queue, plan, pace, progress)


def carried_out(
    rabbitmq: Broker, plan: Sequence[RedriveAction], pace: RedriveOptions | None = None
) -> RedriveProgress:
    progress = RedriveProgress()
    pace = pace or RedriveOptions()
    done(rabbitmq, partial(sent_again, plan=plan, pace=pace, progress=progress))
    return progress


def test_every_letter_goes_to_its_lane_in_the_order_of_their_deaths(
    dead: DeadQueue, rabbitmq: Broker
) -> None:
    lanes = {name: dead.lane(name) for name in ("acme", "zeta")}
    dead.put(range(50, 100), "zeta")
    dead.put(range(50), "acme")
    assert carried_out(rabbitmq, moves(rabbitmq)).sent == 100
    assert dead.drained(lanes["acme"]) == [str(number) for number in range(50)]
    assert dead.drained(lanes["zeta"]) == [str(number) for number in range(50, 100)]
    assert dead.drained() == []


def test_letters_are_given_back_and_taken_anew_when_they_have_been_held_for_long(
    dead: DeadQueue, rabbitmq: Broker
) -> None:
    """Rounds by time, by bytes, and with a letter that nobody wants in between."""
    lane = dead.lane()
    dead.put(range(60))
    plan = [one for number, one in enumerate(moves(rabbitmq)) if number % 10]
    pace = RedriveOptions(rates=(Rate(200, 1.0),), hold=0.1)
    assert carried_out(rabbitmq, tuple(plan), pace) == RedriveProgress(sent=54)
    assert len(dead.drained(lane)) == 54
    assert dead.drained() == [str(number) for number in range(0, 60, 10)]
    dead.put(range(60))
    few = RedriveOptions(held_bytes=plan[0].size * 7)
    assert carried_out(rabbitmq, moves(rabbitmq), few) == RedriveProgress(sent=60)
    assert dead.drained(lane) == [str(number) for number in range(60)]


def test_letters_that_come_in_or_are_gone_meanwhile_are_no_trouble(
    dead: DeadQueue, rabbitmq: Broker
) -> None:
    lane = dead.lane()
    dead.put(range(10))
    plan = moves(rabbitmq)
    assert dead.drained()[:5] == ["0", "1", "2", "3", "4"]
    dead.put([*range(5), 77])
    assert carried_out(rabbitmq, plan) == RedriveProgress(sent=5, gone=5)
    assert dead.drained(lane) == [str(number) for number in range(5)]
    assert dead.drained() == ["77"]


def test_copies_of_a_letter_end_together(dead: DeadQueue, rabbitmq: Broker) -> None:
    lane = dead.lane()
    dead.put([1, 2, 1, 1])
    assert carried_out(rabbitmq, moves(rabbitmq)) == RedriveProgress(sent=2)
    assert dead.drained(lane) == ["1", "2"]
    assert dead.drained() == []


def test_what_no_queue_takes_or_one_refuses_stays(dead: DeadQueue, rabbitmq: Broker) -> None:
    limits = {"x-queue-type": "classic", "x-max-length": 2, "x-overflow": "reject-publish"}
    lane = dead.lane("full", **limits)
    dead.put(range(20), "full")
    dead.put(range(20, 25), "nobody")
    assert carried_out(rabbitmq, moves(rabbitmq)) == RedriveProgress(
        sent=2, refused=18, unroutable=5
    )
    sent, left = dead.drained(lane), dead.drained()
    assert len(sent) == 2
    assert sorted(map(int, sent + left)) == list(range(25))


def test_a_canary_hears_outcomes_from_the_events_and_gives_up_when_none_comes(
    dead: DeadQueue, rabbitmq: Broker
) -> None:
    lane = dead.lane()
    dead.put(range(30))
    pace = RedriveOptions(canary=Step(3, 0.1), patience=0.3)
    done = carried_out(rabbitmq, moves(rabbitmq), pace)
    assert (done.sent, done.applied) == (3, 0)
    assert done.stopped.startswith("3 outcomes did not come")
    assert dead.drained(lane) == ["0", "1", "2"]
    assert dead.drained() == [str(number) for number in range(3, 30)]


def test_a_mended_letter_goes_out_with_its_new_body(dead: DeadQueue, rabbitmq: Broker) -> None:
    lane = dead.lane()
    dead.put([1])
    [move] = moves(rabbitmq)
    carried_out(rabbitmq, (replace(move, body=b'{"jobId": 7}'),))
    taken = dead.taken(lane)
    assert taken is not None
    assert json.loads(taken[1]) == {"jobId": 7}
    assert taken[0].headers.text("taskedit-redrives") == "1"


def test_a_connection_that_is_lost_loses_no_letter(
    broker: Node, dead: DeadQueue, rabbitmq: Broker
) -> None:
    lane = dead.lane()
    dead.put(range(50))
    plan, pace = moves(rabbitmq), RedriveOptions(rates=(Rate(50, 1.0),))
    with Network() as network:
        proxy = network.proxy(broker.port)
        url = rabbitmq.urls[0].replace(f":{broker.port}/", f":{proxy.port}/")
        progress = RedriveProgress()

        async def cut_in_the_middle(session: Session) -> None:
            async with task_group() as group:
                cutting = group.create_task(cut())
                try:
                    await sent_again(session, plan=plan, pace=pace, progress=progress)
                finally:
                    cutting.cancel()

        async def cut() -> None:
            while progress.sent < 10:  # noqa: ASYNC110 (progress is told by being looked at)
                await asyncio.sleep(0.01)
            proxy.reset()

        failure = run(replace(rabbitmq, urls=(url,)), cut_in_the_middle)
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.ABSENT
    sent, left = dead.drained(lane), dead.drained()
    assert len(sent) < 50, "it was over before the connection was cut"
    assert set(sent + left) == {str(number) for number in range(50)}
    assert carried_out(rabbitmq, plan).gone == 50
