"""Whatever happens, in whatever order: edits of a job neither overlap nor overtake, and each ends.

Hypothesis makes up stories: edits come, calls are answered well or badly, confirms come in any
order, channels, publisher, lease and process are lost at any moment. Every call and every ack is
checked when it is made; then the world calms down, and everything has to end.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.builders import NAMES, account, properties
from tests.unit.schemas.builders import body, edit
from tests.unit.world import GOOD, World
from worker.core.judge import Policy
from worker.core.message import ConfirmResult
from worker.core.reply import Answered, Reply, Unanswered

if TYPE_CHECKING:
    from tests.unit.fake_queue import FakeChannel, Message
    from tests.unit.fakes import FakeCall

CONCURRENCY = 3
NO_MODE = "SOMETIMES"
REPLIES: tuple[Reply | Exception, ...] = (
    GOOD,
    GOOD,
    GOOD,
    Answered("-33"),
    Answered("-5"),
    Answered("-46"),
    Answered("-4"),
    Answered("-3"),
    Answered("http:429", retry_after=timedelta(seconds=2)),
    Unanswered("no reply"),
    Unanswered("no reply"),
    RuntimeError("a bug"),
)
FATES = (ConfirmResult.CONFIRMED,) * 6 + (ConfirmResult.REFUSED, ConfirmResult.UNROUTABLE)
WAITS = (0.0, 0.01, 0.1, 1.0, 1.0, 5.0, 30.0, 100.0)


class Story:
    """A world in which everything waits to be told, and what must hold whenever."""

    def __init__(self, *, coalesce: bool) -> None:
        self.coalesce = coalesce
        policy = Policy(attempts=2)
        serving = account(rate="1000/s", concurrency=CONCURRENCY, policy=policy, coalesce=coalesce)
        self.world = World(serving, script=None, prefetch=5, hold=60.0)
        self.world.publisher.prompt = False
        self.world.api.watch = self.check_call
        self.world.queue.watch_ack = self.check_ack

    # What may happen

    def publish(self, n: int) -> None:
        job, kind = n % 3 + 1, n // 3
        number = len(self.world.queue.published) + 1
        content = body(edit(jobId=job, robotCount=number))
        if kind == 2:  # against a rule
            content = body(edit(jobId=job, robotCount=number, mode=NO_MODE))
        own = properties(message_id=f"m-{number}")
        if kind == 3 and number > 1:  # the same once more
            before = self.world.queue.published[-1]
            content, own = before.body, before.properties
        self.world.queue.publish(content, own)

    def answer(self, n: int) -> None:
        calls = self.world.api.under_way
        if calls:
            self.world.api.answer(calls[n % len(calls)], REPLIES[n])

    def confirm(self, n: int) -> None:
        pending = self.world.publisher.outstanding
        if pending:
            self.world.publisher.settle(pending[n % len(pending)], FATES[n % len(FATES)])

    def wait(self, n: int) -> None:
        self.world.run(WAITS[n % len(WAITS)])

    def lose_channel(self, n: int) -> None:
        self.world.lose_channel(acks_too=n % 2 == 0)

    def cancelled(self, _: int) -> None:
        """The broker ends the consumer, whose channel is then closed without asking the lane."""
        if self.world.queue.channel:
            self.world.queue.channel.cancel()
        self.world.lane.pump()

    def lose_publisher(self, n: int) -> None:
        self.world.publisher.lose(received=n % 2 == 0)

    def reopen(self, _: int) -> None:
        self.world.publisher.reopen()
        self.world.lane.pump()

    def lease(self, n: int) -> None:
        self.world.lease = n % 3 > 0
        self.world.lane.pump()

    def kill(self, n: int) -> None:
        if n % 2 == 0:
            self.world.publisher.lose(received=True)
        self.world.killed()

    def restart(self, n: int) -> None:
        """A graceful end: no more calls, what returns is settled, and another process follows."""
        self.world.lane.drain()
        self.answer(n)
        self.confirm(n)
        self.world.run(0.2)
        self.kill(n)

    def perform(self, name: str, n: int) -> None:
        getattr(self, name)(n)
        self.world.run()

    def calm_down(self) -> None:
        """From now on all goes well, and all that is left has to end."""
        world = self.world
        left = list(world.api.under_way), list(world.publisher.outstanding)
        world.api.script, world.publisher.prompt, world.lease = (lambda _: GOOD), True, True
        world.publisher.reopen()
        for call in left[0]:
            world.api.answer(call, GOOD)
        for pending in left[1]:
            world.publisher.settle(pending, ConfirmResult.CONFIRMED)
        world.finish()
        world.run(60.0)  # what was tried again for a channel that is gone is given up

    # What must hold

    def check_call(self, call: FakeCall) -> None:
        world = self.world
        assert world.lease, "called without a lease"
        assert world.publisher.is_open, "called though nothing can be published"
        assert call.task.waiting.source.alive, "called for a channel that is gone"
        assert call.job not in {each.job for each in world.api.under_way}, "calls overlap"
        assert len(world.api.under_way) < CONCURRENCY
        settled = self.settled()
        assert call.message_id not in settled, "called again after its event was out"
        if self.coalesce:
            assert not self.newer_applied(call.job, call.message_id), "undoes a newer edit"
            return  # all state the same fields, so earlier ones may wait for this one
        for message in world.queue.published:
            if message.properties.message_id == call.message_id:
                break
            earlier = read(message.body)
            if earlier["jobId"] == call.job and earlier["mode"] != NO_MODE:
                assert message.properties.message_id in settled, "overtakes an earlier edit"

    def newer_applied(self, job: int, message_id: str | None) -> bool:
        """Whether an edit of the job that was published after a message has been applied."""
        own = [each.properties.message_id for each in self.world.queue.published]
        applied = {
            data["messageId"]
            for data in (read(each.body)["data"] for each in self.world.events())
            if data["outcome"] == "applied" and data["jobId"] == job
        }
        return not applied.isdisjoint(own[own.index(message_id) + 1 :])

    def settled(self) -> set[object]:
        """Message ids of which the broker has an event."""
        return {read(each.body)["data"]["messageId"] for each in self.world.events()}

    def check_ack(self, channel: FakeChannel, tag: int) -> None:
        message = channel.unacked.get(tag)
        assert message, "acked what is not unacked"
        events = self.outcomes(message)
        assert events, "acked before its event was confirmed"
        if set(events.values()) == {"rejected"}:
            assert self.has_letter(message), "acked before its dead letter was confirmed"

    def outcomes(self, message: Message) -> dict[str, str]:
        """The outcomes of a message that the broker has, by event id."""
        told = [read(event.body) for event in self.world.events()]
        wanted = message.properties.message_id
        return {
            event["id"]: event["data"]["outcome"]
            for event in told
            if event["data"]["messageId"] == wanted
        }

    def has_letter(self, message: Message) -> bool:
        return any(
            letter.properties.message_id == message.properties.message_id
            for letter in self.world.letters()
        )

    def check_end(self) -> None:
        world = self.world
        for message in world.queue.published:
            outcomes = self.outcomes(message)
            assert len(outcomes) == 1, "an edit ends as exactly one outcome"
            if "rejected" in outcomes.values():
                assert self.has_letter(message)
            if "superseded" in outcomes.values():
                job, name = read(message.body)["jobId"], message.properties.message_id
                assert self.newer_applied(job, name), "nothing newer holds"
        first = Counter[object]()
        for publication in world.publisher.received:  # in the order of the confirms
            own = publication.properties
            if publication.exchange == NAMES.dead:
                first[own.message_id] += 1
            else:
                data = read(publication.body)["data"]
                assert data["outcome"] != "rejected" or first[data["messageId"]]
        lane = world.lane
        assert (lane.in_flight, lane.unconfirmed, lane.refusing, len(lane.window)) == (0, 0, 0, 0)
        assert world.shared.settler.unconfirmed == 0
        assert world.shared.solo.calls == 0


@cache
def read(content: bytes) -> Any:  # noqa: ANN401 (JSON)
    return json.loads(content)


WHAT_HAPPENS = st.sampled_from(
    ("wait",) * 3
    + ("answer",) * 5
    + ("confirm",) * 5
    + ("publish",) * 4
    + (
        "lose_channel",
        "cancelled",
        "lose_publisher",
        "reopen",
        "reopen",
        "lease",
        "kill",
        "restart",
    )
)


def tell(story: list[tuple[str, int]], *, coalesce: bool) -> None:
    told = Story(coalesce=coalesce)
    for name, n in story:
        told.perform(name, n)
    told.calm_down()
    told.check_end()


STORIES = st.lists(st.tuples(WHAT_HAPPENS, st.integers(0, 11)), min_size=30, max_size=120)


@pytest.mark.parametrize("coalesce", [False, True], ids=["each", "coalesced"])
@given(story=STORIES)
@settings(max_examples=25)
def test_edits_of_a_job_neither_overlap_nor_overtake_and_each_ends_once(
    story: list[tuple[str, int]], *, coalesce: bool
) -> None:
    tell(story, coalesce=coalesce)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("coalesce", [False, True], ids=["each", "coalesced"])
@given(story=STORIES)
@settings(max_examples=2500)
def test_nor_do_they_in_very_many_stories(story: list[tuple[str, int]], *, coalesce: bool) -> None:
    tell(story, coalesce=coalesce)
