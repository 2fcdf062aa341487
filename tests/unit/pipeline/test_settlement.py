"""How deliveries end: what is published for each, how often, and what becomes of repeats."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, cast
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from schemas import Bounds
from tests.unit.builders import NAMES, account, event, headers, properties
from tests.unit.schemas.builders import body, edit
from tests.unit.world import World, by_status
from worker.core.dedup import WHOLE_AT_MOST
from worker.core.headers import Headers
from worker.core.reply import Answered
from worker.core.unrouted import ownership

if TYPE_CHECKING:
    from worker.account import Account
    from worker.core.message import Publication


def data(publication: Publication) -> dict[str, object]:
    found = json.loads(publication.body)["data"]
    assert isinstance(found, dict)
    return found


def reason(publication: Publication) -> str | None:
    return publication.properties.headers.text("taskedit-reason")


def test_an_applied_edit_has_one_event_and_nothing_else() -> None:
    world = World()

    world.publish()
    world.finish()

    assert [each.exchange for each in world.publisher.sent] == [NAMES.events]
    assert data(world.events()[0])["outcome"] == "applied"
    assert world.replies.published == []


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"not json", "malformed"),
        (b"", "malformed"),
        (body(edit(jobId="1")), "invalid"),
        (body(edit(unknown=1)), "invalid"),
    ],
)
def test_a_bad_message_is_dead_lettered_once_and_never_called(content: bytes, why: str) -> None:
    world = World()

    world.queue.publish(content, properties())
    world.publish()
    world.finish()

    [letter] = world.letters()
    assert (reason(letter), letter.body) == (why, content)
    assert [data(each)["outcome"] for each in world.events()] == ["rejected", "applied"]
    assert len(world.api.calls) == 1


@pytest.mark.parametrize("status", ["-33", "http:422", "-999"])
def test_what_the_api_refuses_is_dead_lettered_with_its_status(status: str) -> None:
    world = World(script=by_status(status))

    world.publish()
    world.finish()

    [letter], [told] = world.letters(), world.events()
    assert reason(letter) == "api_rejected"
    assert letter.properties.headers.text("taskedit-api-status") == status
    assert letter.properties.headers.text("taskedit-event-id") == told.properties.message_id
    assert [each.exchange for each in world.publisher.sent] == [NAMES.dead, NAMES.events]


def test_a_bug_in_a_call_is_the_edits_end_and_nobody_elses() -> None:
    world = World(script=None)
    world.publish(1)
    world.publish(2)
    world.run(1.0)

    for call, outcome in zip(list(world.api.under_way), ("hunter2", None), strict=True):
        world.api.answer(call, RuntimeError(outcome) if outcome else by_status("0")(call))
    world.finish()

    [letter] = world.letters()
    assert reason(letter) == "internal"
    assert letter.properties.headers.text("taskedit-attempts") == "1"
    assert "hunter2" not in str(letter)
    assert len(world.events()) == 2


def test_a_bug_in_reading_is_the_messages_end_and_nobody_elses() -> None:
    world = World(account(bounds=cast("Bounds", object())))

    world.publish()
    world.finish()

    [letter] = world.letters()
    assert reason(letter) == "internal"
    assert not world.api.calls


@pytest.mark.parametrize("status", ["0", "-33"])
def test_a_repeat_is_not_called_and_has_the_same_event_again(status: str) -> None:
    world = World(script=by_status(status))
    first = world.publish()
    world.finish()

    for _ in range(3):
        world.queue.publish(first.body, first.properties)
    world.finish()

    assert len(world.api.calls) == 1
    assert len(world.letters()) == (status != "0")
    assert len(world.events()) == 4
    assert len({(each.body, each.properties.message_id) for each in world.events()}) == 1
    assert world.lane.tally.repeats == 3


def test_repeats_that_come_together_are_called_once() -> None:
    world = World()
    for _ in range(5):
        world.publish(message_id="same", robotCount=1)

    world.finish()

    assert len(world.api.calls) == 1
    assert len(world.events()) == 5
    assert len({each.properties.message_id for each in world.events()}) == 1


def test_a_bad_message_that_comes_twice_at_once_is_dead_lettered_once() -> None:
    world = World()
    world.publisher.prompt = False
    for _ in range(3):
        world.queue.publish(b"not json", properties())
    world.run(1.0)

    world.publisher.prompt = True
    world.publisher.lose(received=False)
    world.publisher.reopen()
    world.finish()

    assert len(world.letters()) == 1
    assert len(world.events()) == 3


@pytest.mark.parametrize(
    ("again", "called"),
    [
        ({}, 1),
        ({"body": body(edit(name="another"))}, 2),
        ({"headers": headers(taskedit_redrives="1")}, 2),
        ({"message_id": "another"}, 2),
    ],
)
def test_what_differs_in_what_makes_a_repeat_is_called(
    again: dict[str, object], called: int
) -> None:
    world = World()
    content = cast("bytes", again.pop("body", body(edit())))
    world.queue.publish(body(edit()), properties())
    world.finish()

    world.queue.publish(content, properties(**again))
    world.finish()

    assert len(world.api.calls) == called
    assert world.lane.tally.conflicts == (content != body(edit()))


def test_a_message_without_an_id_is_never_a_repeat() -> None:
    world = World()
    for _ in range(2):
        world.queue.publish(body(edit()), properties(message_id=None))

    world.finish()

    assert len(world.api.calls) == 2
    assert len({each.properties.message_id for each in world.events()}) == 2


class TestUnreadableHandedOn:
    """Its appId belongs to another account by now, whose lane has a copy of it."""

    acme = account("acme", bounds=Bounds(app_ids=frozenset({"another-app"})))
    zeta = account("zeta", bounds=Bounds(app_ids=frozenset({"LILIN888"})))

    def handed_on(self) -> tuple[World, Publication]:
        """What acme's lane has sent on."""
        world = World(self.acme)
        world.shared.ownership = ownership([self.acme, self.zeta])
        world.queue.publish(b"no JSON", properties(message_id="m-1"))
        world.finish()
        [handed_on] = world.events()
        return world, handed_on

    @staticmethod
    def arrived(world: World, serving: Account, handed_on: Publication) -> None:
        """It has been settled, or handed on again, by the lane of zeta."""
        _, queue = world.another_lane(serving)
        queue.exchange, queue.routing_key = handed_on.exchange, handed_on.routing_key
        queue.publish(handed_on.body, handed_on.properties)
        world.loop.run(60.0, until=lambda: queue.is_empty)

    def test_it_goes_by_its_routing_key(self) -> None:
        world, handed_on = self.handed_on()

        assert (handed_on.exchange, handed_on.routing_key) == ("", NAMES.lane("zeta"))
        assert handed_on.body == b"no JSON"
        assert not world.letters()

    def test_it_goes_on_again_when_its_app_comes_back_meanwhile(self) -> None:
        """It meets the other copy of itself only in the lane where that one is going too."""
        world, handed_on = self.handed_on()
        zeta = replace(self.zeta, bounds=self.acme.bounds)
        world.shared.ownership = ownership([replace(self.acme, bounds=self.zeta.bounds), zeta])

        self.arrived(world, zeta, handed_on)

        _, again = world.events()
        assert (again.exchange, again.routing_key) == ("", NAMES.lane("acme"))
        assert not world.letters()

    def test_its_letter_tells_where_it_was_published(self) -> None:
        world, handed_on = self.handed_on()

        self.arrived(world, self.zeta, handed_on)

        [letter] = world.letters()
        told = letter.properties.headers.texts()
        assert told["taskedit-exchange"] == NAMES.exchange
        assert told["taskedit-routing-key"] == letter.routing_key == "LILIN888"
        assert "taskedit-handed-on" not in told


@pytest.mark.parametrize("others", [0, WHOLE_AT_MOST])
def test_what_was_settled_before_its_app_moved_is_not_called_by_its_new_account(
    others: int,
) -> None:
    """Published again, or a copy that was left in a lane: it has the event of before again."""
    world = World()
    before = world.publish(message_id="m-1")
    world.finish()
    assert world.recall()
    for number in range(others):
        world.shared.memory.keep(event(str(UUID(int=number << 64))), world.loop.now())
    lane, queue = world.another_lane(account("zeta"))
    assert world.recall()

    queue.publish(before.body, before.properties)
    queue.publish(before.body, replace(before.properties, message_id="m-2"))
    world.loop.run(60.0, until=lambda: queue.is_empty)

    first, again, other = world.events()
    assert again.properties.message_id == first.properties.message_id
    assert json.loads(again.body)["source"] == "/task-edit/acme"
    assert json.loads(other.body)["source"] == "/task-edit/zeta"
    assert lane.tally.repeats == 1


def test_what_the_journal_tells_of_is_not_called_again() -> None:
    world = World()
    told = world.publish()
    world.finish()
    [known] = world.events()

    world.killed()
    world.queue.publish(told.body, told.properties)
    world.finish()

    assert len(world.api.calls) == 1
    assert world.events() == [known, known]


def test_who_asked_for_a_reply_gets_it_once_the_event_is_out_and_again_on_a_repeat() -> None:
    world = World()
    world.publisher.prompt = False
    message = world.queue.publish(body(edit()), properties(reply_to="theirs"))
    world.run(1.0)
    replied_before = len(world.replies.published)

    world.publisher.prompt = True
    world.publisher.lose(received=False)
    world.publisher.reopen()
    world.queue.publish(message.body, message.properties)
    world.finish()

    assert replied_before == 0
    assert [each.routing_key for each in world.replies.published] == ["theirs", "theirs"]
    assert {each.body for each in world.replies.published} == {world.events()[0].body}


def test_nothing_is_published_or_acked_for_a_channel_that_is_gone() -> None:
    world = World(script=None)
    world.publish()
    world.run(1.0)
    [call] = world.api.under_way
    world.queue.gap = 1000.0
    world.lose_channel()

    world.api.answer(call, by_status("-33")(call))
    world.run(10.0)

    assert not world.publisher.sent
    assert world.lane.is_quiet


def test_an_event_that_was_out_when_the_channel_went_is_known_when_the_edit_comes_back() -> None:
    world = World()
    world.publisher.prompt = False
    world.publish()
    world.run(1.0)
    [pending] = world.publisher.outstanding
    world.lose_channel()
    world.publisher.settle(pending, world.publisher.fate(pending.publication))

    world.publisher.prompt = True
    world.finish()

    assert len(world.api.calls) == 1
    assert len({each.properties.message_id for each in world.events()}) == 1


def test_the_headers_of_trace_go_on_into_the_event() -> None:
    world = World()
    own = properties(headers=headers(traceparent="00-1-2-01"))

    world.queue.publish(body(edit()), own)
    world.publish()
    world.finish()

    traced, other = world.events()
    assert traced.properties.headers.text("traceparent") == "00-1-2-01"
    assert other.properties.headers.text("traceparent") is None


def test_an_old_event_in_the_journal_does_not_hide_a_new_edit() -> None:
    world = World()
    world.shared.memory.keep(event("someone-elses"), world.loop.now())

    world.publish()
    world.finish()

    assert len(world.api.calls) == 1


class Unlucky(Headers):
    """Headers that meet a bug of ours when a letter is made of them."""

    def kept(self, *, without: frozenset[str], prefix: str) -> Headers:
        raise RuntimeError(prefix)


def test_an_edit_whose_settlement_raises_ends_as_internal_and_the_others_go_on() -> None:
    world = World()

    world.queue.publish(b"not json", properties(message_id="bad", headers=Unlucky()))
    world.publish()
    with capture_logs() as logged:
        world.finish()

    [letter] = world.letters()
    assert (reason(letter), letter.body) == ("internal", b"not json")
    assert letter.properties.message_id == "bad"
    assert [data(each)["outcome"] for each in world.events()] == ["rejected", "applied"]
    assert "settlement_failed" in {line["event"] for line in logged}
    assert world.queue.is_empty


class Unreadable(Answered):
    """An answer that meets a bug of ours when it is judged."""

    def __getattribute__(self, name: str) -> object:
        if name == "status":
            raise RuntimeError(name)
        return super().__getattribute__(name)


def test_an_edit_whose_answer_cannot_be_judged_ends_as_internal_and_the_others_go_on() -> None:
    replies = iter([Unreadable("0", "success")])
    world = World(script=lambda _: next(replies, Answered("0", "success")))

    world.publish()
    world.publish()
    with capture_logs() as logged:
        world.finish()

    assert [reason(letter) for letter in world.letters()] == ["internal"]
    assert sorted(str(data(each)["outcome"]) for each in world.events()) == ["applied", "rejected"]
    assert "judging_failed" in {line["event"] for line in logged}
