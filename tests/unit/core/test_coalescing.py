"""Edits that a newer one repeats are passed over, and the job ends as if all had been called."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import Reason
from tests.unit.builders import delivery, head, headers, properties, read, waiting
from tests.unit.schemas.builders import body, edit
from worker.core.coalescing import newest_covering, stated_fields
from worker.core.identity import Identity
from worker.core.job_queue import JobQueue
from worker.core.verdict import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.core.job_queue import HeldEdit

REFUSED = Rejected(Reason.API_REJECTED, "the API answered -33", status="-33")


def stating(*fields: str, number: int = 1) -> HeldEdit:
    """An edit of a job that states these fields."""
    return waiting(1, number, fields=frozenset(fields))


def line(*fields: str) -> list[HeldEdit]:
    """A job's edits, oldest first, each stating the fields that a text's letters name."""
    return [stating(*names, number=number) for number, names in enumerate(fields)]


@pytest.mark.parametrize(
    ("stated", "called"),
    [
        (("a",), 0),
        (("a", "a"), 1),
        (("a", "ab"), 1),
        (("ab", "a"), 0),
        (("a", "b", "ab"), 2),
        (("a", "b", "a"), 0),
        (("a", "ab", "a"), 1),
        (("ab", "a", "b", "abc", "c"), 3),
    ],
)
def test_the_newest_that_states_all_before_it_goes_first(
    stated: tuple[str, ...], called: int
) -> None:
    job = line(*stated)

    assert newest_covering(job) is job[called]


@pytest.mark.parametrize(
    "barrier",
    [
        {"fields": None},
        {"alone": True},
        {"to": "zeta"},
        {"edit": replace(read(delivery()), head=head(app_id="OTHER"))},
    ],
    ids=["takes no part", "a suspect", "of another lane", "of another app"],
)
def test_nothing_passes_an_edit_that_has_to_be_called_by_itself(barrier: dict[str, object]) -> None:
    oldest, newer, newest = line("a", "a", "a")
    alone = replace(stating("a", number=9), **barrier)  # type: ignore[arg-type]

    assert newest_covering([oldest, newer, alone, newest]) is newer
    if "edit" not in barrier and "to" not in barrier:
        assert newest_covering([alone, newest]) is alone


def test_what_ends_without_a_call_need_not_be_covered_and_covers_nothing() -> None:
    oldest, between, newest = line("a", "abc", "ab")
    for never in ({"rejected": REFUSED}, {"is_repeat": True}):
        passive = replace(between, **never)

        assert newest_covering([oldest, passive, newest]) is newest
        assert newest_covering([oldest, passive]) is oldest


def test_the_same_message_once_more_does_not_undo_what_lies_between() -> None:
    first, second, again = line("ab", "a", "ab")
    again.edit = first.edit
    job = JobQueue()
    for held in (first, second, again):
        job.add(held)
    assert job.take(0.0) is first
    job.remove(first)

    assert newest_covering(job.line(1)) is second


def test_messages_without_an_id_are_no_repeats_of_each_other() -> None:
    job = JobQueue()
    for held in line("a", "a", "a"):
        held.edit = replace(held.edit, head=replace(held.edit.head, identity=None))
        job.add(held)

    assert newest_covering(job.line(1)).number == 2


def test_the_fields_of_an_edit_are_those_that_are_present() -> None:
    told = edit(daysOfWeek=None, inactiveDateList=[])
    message = delivery(body(told))
    stated = stated_fields(read(message), message)

    assert stated is not None
    assert "inactiveDateList" in stated
    assert "daysOfWeek" not in stated


def test_what_is_sent_again_after_a_rejection_takes_no_part() -> None:
    again = delivery(properties=properties(headers=headers(taskedit_redrives="1")))

    assert stated_fields(read(again), again) is None


# A whole job, from the queue to the API, with everything that can happen on the way.

FIELDS = "abc"


@dataclass(frozen=True, slots=True)
class Wish:
    """An edit as its publisher meant it: what it sets each field to."""

    values: tuple[tuple[str, int], ...]
    message_id: str


@st.composite
def wishes(draw: st.DrawFn) -> list[Wish]:
    """Up to a dozen edits of one job; now and then the same message twice."""
    sets = st.dictionaries(st.sampled_from(FIELDS), st.integers(0, 3), min_size=1)
    told = [
        Wish(tuple(sorted(values.items())), f"m-{number}")
        for number, values in enumerate(draw(st.lists(sets, min_size=1, max_size=10)))
    ]
    for copied in draw(st.lists(st.integers(0, len(told) - 1), max_size=2)):
        told.append(told[copied])
    return told


@dataclass(slots=True)
class Api:
    """Keeps the job's fields. Refuses what would set them to certain values."""

    refused: frozenset[tuple[tuple[str, int], ...]]
    state: dict[str, int] = field(default_factory=dict)
    calls: int = 0

    def takes(self, wish: Wish) -> bool:
        """Call it: whether the job is now as the edit wants it."""
        self.calls += 1
        after = self.state | dict(wish.values)
        if tuple(sorted(after.items())) in self.refused:
            return False
        self.state = after
        return True


def message(wish: Wish, number: int) -> HeldEdit:
    """A wish as a lane holds it."""
    held = stating(*dict(wish.values), number=number)
    identity = Identity("acme", wish.message_id, b"", 0)
    held.edit = replace(held.edit, head=replace(held.edit.head, identity=identity))
    return held


def in_order(told: list[Wish], api: Api) -> dict[str, int]:
    """The job when every edit is called, one after the other, and repeats are not."""
    for wish in dict.fromkeys(told):
        api.takes(wish)
    return api.state


@dataclass(slots=True)
class Broker:
    """The queue, the events that were confirmed, and when the worker dies."""

    queue: deque[tuple[int, Wish]]
    crashes: Iterator[bool]
    window: int
    outcomes: dict[str, str] = field(default_factory=dict)
    settled: list[int] = field(default_factory=list)

    def point(self) -> None:
        """Something has just become true; here the process may end."""
        if next(self.crashes, False):
            raise InterruptedError


class Worker:
    """One life of a worker that has only this job to look after."""

    def __init__(self, broker: Broker, api: Api, failures: Iterator[bool]) -> None:
        self._broker = broker
        self._api = api
        self._failures = failures
        self._job = JobQueue()
        self._wishes: dict[int, Wish] = {}

    def live(self) -> None:
        """Until everything is settled, or it dies."""
        self._fill()
        while (oldest := self._job.take(0.0)) is not None:
            if oldest.rejected is not None or self._is_settled(oldest):
                self._settle(oldest, "rejected")
            else:
                self._call(oldest, newest_covering(self._job.line(1)))
            self._fill()

    def _fill(self) -> None:
        """Hold as many as RabbitMQ hands out."""
        for number, wish in list(self._broker.queue)[len(self._job) : self._broker.window]:
            held = message(wish, number)
            held.is_repeat = wish.message_id in self._broker.outcomes
            self._wishes[number] = wish
            self._job.add(held)

    def _is_settled(self, held: HeldEdit) -> bool:
        return self._wishes[held.number].message_id in self._broker.outcomes

    def _call(self, oldest: HeldEdit, chosen: HeldEdit) -> None:
        if next(self._failures, False):
            self._broker.point()
            self._job.put_back(oldest, 0.0)  # tried again, and what to call is chosen anew
            return
        applied = self._api.takes(self._wishes[chosen.number])
        self._broker.point()
        if not applied and chosen is not oldest:
            chosen.rejected = REFUSED
            self._job.put_back(oldest, 0.0)
            return
        while applied and (first := next(iter(self._job.line(1)))) is not chosen:
            self._settle(first, "superseded", done=False)
        self._settle(chosen, "applied" if applied else "rejected")

    def _settle(self, held: HeldEdit, outcome: str, *, done: bool = True) -> None:
        """Event, then ack, of the oldest; a repeat has the event of before."""
        told = "rejected" if held.rejected is not None else outcome
        self._broker.outcomes.setdefault(self._wishes[held.number].message_id, told)
        self._broker.point()
        self._broker.settled.append(self._broker.queue.popleft()[0])
        self._broker.point()
        if done:
            self._job.remove(held)
        else:
            self._job.pass_over(held)


@given(
    told=wishes(),
    refused=st.frozensets(
        st.dictionaries(st.sampled_from(FIELDS), st.integers(0, 3), min_size=1).map(
            lambda values: tuple(sorted(values.items()))
        ),
        max_size=6,
    ),
    crashes=st.lists(st.booleans(), max_size=40),
    failures=st.lists(st.booleans(), max_size=10),
    window=st.integers(1, 12),
)
def test_a_job_ends_as_if_every_edit_had_been_called_in_order(
    told: list[Wish],
    refused: frozenset[tuple[tuple[str, int], ...]],
    crashes: list[bool],
    failures: list[bool],
    window: int,
) -> None:
    api, plain = Api(refused), Api(refused)
    broker = Broker(deque(enumerate(told)), iter(crashes), window)
    failing = iter(failures)
    while broker.queue:
        try:
            Worker(broker, api, failing).live()
        except InterruptedError:
            continue

    assert api.state == in_order(told, plain)
    assert broker.settled == list(range(len(told)))  # each once, in the queue's order
    assert broker.outcomes.keys() == {wish.message_id for wish in told}
    if not any(crashes):
        assert api.calls <= plain.calls
