"""Publish, confirm, ack: each step only once the last is sure, and no subscriber in the way."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.builders import NAMES, delivery, event
from tests.unit.fake_publisher import FakePublisher, FakeReplies
from tests.unit.fakes import FakeLoop
from worker.core.message import ConfirmResult, Publication
from worker.core.settlement import Settlement
from worker.pipeline.settler import Settler

EVENT = event()
LETTER = Publication(NAMES.dead, "LILIN888", b"as it was", EVENT.properties)
REPLY = Publication("", "theirs", EVENT.body, EVENT.properties)
FATES = [ConfirmResult.CONFIRMED, ConfirmResult.REFUSED, ConfirmResult.UNROUTABLE]


@dataclass(slots=True)
class Tape:
    """A `Source` that can be lost, and everything that happens, in order."""

    alive: bool = True
    happened: list[Any] = field(default_factory=list)

    async def ack(self, _: int) -> None:
        if self.alive:
            self.happened.append("ack")

    def give_back(self) -> None: ...


class Bench:
    """A settler with all that it needs; the broker's word is given by hand."""

    def __init__(self, *, journal_missing: bool = False) -> None:
        self.loop = FakeLoop()
        self.publisher = FakePublisher(self.loop, prompt=False)
        self.replies = FakeReplies()
        self.source = Tape()
        self.closed: list[bool] = []
        """Of each settlement that has ended, whether its event is out."""
        self.settler = Settler(self.publisher, self.replies, NAMES.journal, lambda: journal_missing)

    def carry_out(self, settlement: Settlement) -> None:
        self.loop.spawn(self._carry_out(settlement))
        self.loop.run()

    async def _carry_out(self, settlement: Settlement) -> None:
        self.closed.append(await self.settler.carry_out(settlement, delivery(), self.source))

    def say(self, fate: ConfirmResult) -> Publication:
        """The broker's word on the oldest publication that waits for it."""
        pending = self.publisher.outstanding[0]
        self.source.happened.append((fate, pending.publication))
        self.publisher.settle(pending, fate)
        self.loop.run()
        return pending.publication

    @property
    def waiting(self) -> list[Publication]:
        return [pending.publication for pending in self.publisher.outstanding]


def in_the_journal(publication: Publication) -> Publication:
    return Publication("", NAMES.journal, publication.body, publication.properties)


def test_the_letter_is_confirmed_before_the_event_is_published_and_that_before_the_ack() -> None:
    bench = Bench()
    bench.carry_out(Settlement(EVENT, LETTER, REPLY))

    seen = [list(bench.waiting)]
    bench.say(ConfirmResult.CONFIRMED)
    seen.append(list(bench.waiting))
    replied_before = list(bench.replies.published)
    bench.say(ConfirmResult.CONFIRMED)

    assert seen == [[LETTER], [EVENT]]
    assert replied_before == []
    assert bench.replies.published == [REPLY]
    assert bench.source.happened[-1] == "ack"
    assert bench.closed == [True]
    assert bench.settler.unconfirmed == 0


def test_a_letter_that_is_refused_is_tried_again_until_it_is_taken() -> None:
    bench = Bench()
    bench.carry_out(Settlement(EVENT, LETTER))

    for fate in (ConfirmResult.REFUSED, ConfirmResult.UNROUTABLE) * 10:
        assert bench.say(fate) == LETTER
        bench.loop.run(5.0)

    assert bench.waiting == [LETTER]
    assert bench.settler.letters_refused == 20
    bench.say(ConfirmResult.CONFIRMED)
    assert bench.waiting == [EVENT]


def test_an_event_refused_three_times_over_ten_seconds_goes_to_the_journal_alone() -> None:
    bench = Bench()
    bench.carry_out(Settlement(EVENT))
    offered = []

    for _ in range(3):
        offered.append(bench.loop.now())
        assert bench.say(ConfirmResult.REFUSED) == EVENT
        if len(offered) < 3:
            bench.loop.run(20.0, until=lambda: bool(bench.waiting))

    assert [round(later - before) for before, later in pairwise(offered)] == [5, 5]
    assert bench.waiting == [in_the_journal(EVENT)]
    assert bench.settler.events_refused == 1
    bench.say(ConfirmResult.CONFIRMED)
    assert bench.source.happened[-1] == "ack"


def test_while_a_subscriber_is_known_to_refuse_events_are_offered_once() -> None:
    bench = Bench()
    refused = [event(f"e-{number}") for number in range(5)]
    bench.carry_out(Settlement(refused[0]))
    for _ in range(3):
        bench.say(ConfirmResult.REFUSED)
        bench.loop.run(5.0)
    bench.say(ConfirmResult.CONFIRMED)

    for each in refused[1:]:
        bench.carry_out(Settlement(each))
        assert bench.say(ConfirmResult.REFUSED) == each
        assert bench.say(ConfirmResult.CONFIRMED) == in_the_journal(each)

    assert bench.settler.events_refused == 5
    assert len(bench.closed) == 5


def test_once_an_event_is_taken_again_the_next_refusal_is_waited_out_again() -> None:
    bench = Bench()
    bench.carry_out(Settlement(EVENT))
    for _ in range(3):
        bench.say(ConfirmResult.REFUSED)
        bench.loop.run(5.0)
    bench.say(ConfirmResult.CONFIRMED)
    bench.carry_out(Settlement(EVENT))
    bench.say(ConfirmResult.CONFIRMED)

    bench.carry_out(Settlement(EVENT))
    bench.say(ConfirmResult.REFUSED)

    assert bench.waiting == []
    bench.loop.run(6.0)
    assert bench.waiting == [EVENT]


def test_an_event_that_no_queue_is_bound_for_goes_to_the_journal_at_once() -> None:
    bench = Bench()
    bench.carry_out(Settlement(EVENT))

    bench.say(ConfirmResult.UNROUTABLE)

    assert bench.waiting == [in_the_journal(EVENT)]


def test_without_a_journal_and_without_a_subscriber_the_edit_is_settled_all_the_same() -> None:
    bench = Bench(journal_missing=True)
    bench.carry_out(Settlement(EVENT))

    bench.say(ConfirmResult.UNROUTABLE)
    bench.say(ConfirmResult.UNROUTABLE)

    assert bench.source.happened[-1] == "ack"


@pytest.mark.parametrize(
    ("missing", "fate"),
    [
        (False, ConfirmResult.UNROUTABLE),
        (False, ConfirmResult.REFUSED),
        (True, ConfirmResult.REFUSED),
    ],
)
def test_a_journal_that_refuses_is_tried_again_until_it_takes_the_event(
    fate: ConfirmResult, *, missing: bool
) -> None:
    bench = Bench(journal_missing=missing)
    bench.carry_out(Settlement(EVENT))
    bench.say(ConfirmResult.UNROUTABLE)

    for _ in range(5):
        assert bench.say(fate) == in_the_journal(EVENT)
        bench.loop.run(2.0)

    assert bench.waiting == [in_the_journal(EVENT)]
    assert not bench.closed
    bench.say(ConfirmResult.CONFIRMED)
    assert bench.source.happened[-1] == "ack"


@pytest.mark.parametrize("after", [0, 1, 2, 3])
def test_a_delivery_that_went_back_is_neither_published_for_nor_acked_any_more(
    after: int,
) -> None:
    bench = Bench()
    bench.publisher.is_open = after > 0
    bench.carry_out(Settlement(EVENT, LETTER))
    for fate in (ConfirmResult.CONFIRMED, ConfirmResult.REFUSED, ConfirmResult.REFUSED)[
        : max(0, after - 1)
    ]:
        bench.say(fate)
    sent = len(bench.publisher.sent)

    bench.source.alive = False
    bench.publisher.lose(received=False)
    bench.publisher.reopen()
    bench.loop.run(60.0)

    assert len(bench.publisher.sent) == sent
    assert bench.settler.unconfirmed == 0
    assert bench.closed == [False]
    assert "ack" not in bench.source.happened


@given(
    words=st.lists(st.sampled_from((*FATES, "connection lost")), max_size=12),
    with_letter=st.booleans(),
    lost_at=st.integers(0, 14),
)
@settings(max_examples=60)
def test_whatever_the_broker_says_a_delivery_is_acked_after_its_confirms_or_not_at_all(
    words: list[ConfirmResult | str], lost_at: int, *, with_letter: bool
) -> None:
    bench = Bench()
    bench.carry_out(Settlement(EVENT, LETTER if with_letter else None))

    for step, word in enumerate([*words, *[ConfirmResult.CONFIRMED] * 3]):
        bench.loop.run(6.0)
        bench.source.alive = bench.source.alive and step != lost_at
        if isinstance(word, str):
            bench.publisher.lose(received=False)
            bench.publisher.reopen()
            bench.loop.run()
        elif bench.publisher.outstanding:
            bench.say(word)
    bench.loop.run(60.0)

    [out] = bench.closed
    *told, last = bench.source.happened or [None]
    assert "ack" not in told
    if last != "ack":
        assert not bench.source.alive
        return
    assert out
    assert told[-1] in {
        (ConfirmResult.CONFIRMED, EVENT),
        (ConfirmResult.CONFIRMED, in_the_journal(EVENT)),
    }
    assert ((ConfirmResult.CONFIRMED, LETTER) in told) is with_letter
    if with_letter:
        after_the_letter = told[told.index((ConfirmResult.CONFIRMED, LETTER)) + 1 :]
        assert LETTER not in [publication for _, publication in after_the_letter]
        assert len(after_the_letter) == len([each for each in told if each[1] != LETTER])
