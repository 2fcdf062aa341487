"""The strays' queue: everything in it is rejected with why it is there, once."""

from __future__ import annotations

import json
from typing import Any, NoReturn

import pika.data
import pytest
from structlog.testing import capture_logs

from tests.unit.builders import NAMES, NoSource, delivery, properties
from tests.unit.fake_queue import FakeQueue
from tests.unit.schemas.builders import ABSENT, body, edit
from tests.unit.world import World
from worker.core.headers import Headers
from worker.core.unrouted import Ownership
from worker.pipeline.unrouted import Strays


class StraysWorld:
    """The strays of a world, and their queue."""

    def __init__(self) -> None:
        self.world = World()
        self.strays = Strays(self.world.shared)
        self.queue = FakeQueue(self.world.loop, self.strays, exchange=NAMES.strays)
        self.queue.subscribe()

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(each.body)["data"] for each in self.world.events()]

    def reasons(self) -> list[str | None]:
        return [each.properties.headers.text("taskedit-reason") for each in self.world.letters()]


class Unlucky(Headers):
    """Headers that meet a bug of ours."""

    def tables(self, name: str) -> NoReturn:
        raise RuntimeError(name)


def taken(reason: str, queue: str = "task-edit.lane.acme") -> Headers:
    """Headers of a message that RabbitMQ took from a queue."""
    pieces: list[bytes] = []
    pika.data.encode_table(pieces, {"x-death": [{"queue": queue, "reason": reason}]})
    return Headers(b"".join(pieces)[4:])


@pytest.mark.parametrize(
    ("headers", "reason", "account"),
    [
        (Headers(), "unknown_app", None),
        (taken("expired"), "expired", "acme"),
        (taken("delivery_limit"), "poison", "acme"),
        (taken("expired", "somebody.elses"), "unknown_app", None),
    ],
)
def test_a_stray_is_rejected_with_event_and_dead_letter(
    headers: Headers, reason: str, account: str | None
) -> None:
    stage = StraysWorld()

    stage.queue.publish(body(edit()), properties(headers=headers))
    stage.world.run(1.0)

    assert stage.reasons() == [reason]
    [told] = stage.events()
    assert (told["reason"], told["account"], told["jobId"]) == (reason, account, 123)
    assert stage.queue.is_empty
    assert stage.strays.is_quiet


@pytest.mark.parametrize(
    ("own", "app_id", "key"),
    [
        ({"LILIN888"}, "LILIN888", "rejected.LILIN888"),
        ({"LILIN888", "LILIN999"}, None, "rejected._"),
        ({"#"}, None, "rejected._"),
    ],
)
def test_what_the_broker_took_from_the_lane_of_one_app_is_of_that_app(
    own: set[str], app_id: str | None, key: str
) -> None:
    stage = StraysWorld()
    stage.world.shared.ownership = Ownership({"acme": frozenset(own), "other": frozenset({"Z"})})

    stage.queue.publish(body(edit(appId=ABSENT)), properties(headers=taken("expired")))
    stage.world.run(1.0)

    [told] = stage.events()
    [event] = stage.world.events()
    assert (told["reason"], told["appId"], event.routing_key) == ("expired", app_id, key)


@pytest.mark.parametrize("content", [b"not json", b"", body(edit(mode="X")), b"\xff"])
def test_a_stray_that_cannot_be_read_is_a_stray_all_the_same(content: bytes) -> None:
    stage = StraysWorld()

    stage.queue.publish(content, properties())
    stage.world.run(1.0)

    assert stage.reasons() == ["unknown_app"]


def test_strays_wait_until_what_was_settled_before_is_known() -> None:
    stage = StraysWorld()
    stage.queue.publish(b"1", properties(message_id="m-1"))
    stage.world.run(1.0)
    known = list(stage.world.events())

    stage.queue.lose(acks_too=False)
    stage.queue.publish(b"1", properties(message_id="m-1"))
    stage.world.run(1.0)

    assert len(stage.world.letters()) == 1
    assert stage.world.events() == known * 2


def test_strays_of_a_channel_that_is_gone_are_not_settled_when_the_desk_opens() -> None:
    world = World()
    strays = Strays(world.shared)
    strays.deliver(delivery(), NoSource(alive=False))

    strays.lost()
    strays.open()

    assert not world.publisher.sent
    assert strays.is_quiet


def test_a_drain_settles_what_was_begun_and_takes_no_more() -> None:
    stage = StraysWorld()
    stage.world.publisher.prompt = False
    stage.queue.publish(b"1", properties(message_id="m-1"))
    stage.world.run(1.0)

    stage.strays.drain()
    stage.queue.publish(b"2", properties(message_id="m-2"))
    quiet_before = stage.strays.is_quiet
    stage.world.publisher.prompt = True
    stage.world.publisher.lose(received=False)
    stage.world.publisher.reopen()
    stage.world.run(1.0)

    assert not quiet_before
    assert stage.strays.is_quiet
    assert len(stage.world.letters()) == 1


def test_a_bug_in_reading_a_stray_is_its_end_and_nobody_elses() -> None:
    stage = StraysWorld()

    stage.queue.publish(b"1", properties(headers=Unlucky()))
    stage.queue.publish(b"2", properties(message_id="m-2"))
    with capture_logs() as logged:
        stage.world.run(1.0)

    assert sorted(map(str, stage.reasons())) == ["internal", "unknown_app"]
    assert "decode_failed" in {line["event"] for line in logged}
