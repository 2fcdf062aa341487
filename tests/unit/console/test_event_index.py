from __future__ import annotations

import asyncio
import gc
from datetime import timedelta

import pytest

from schemas import Reason
from tests.unit.builders import NOW, delivery, properties
from tests.unit.console.dead import numbered
from tests.unit.deadletters.dead import DONE, Ended, ended
from tests.unit.schemas.builders import body, edit
from worker.console import event_index
from worker.console.causes import Cause, cause_of
from worker.console.event_index import EventIndex
from worker.console.model import EventFilter
from worker.console.store import TOGETHER, opened
from worker.core.verdict import Rejected
from worker.deadletters.history import JobHistory, Overtaken, Redrivable


@pytest.fixture
def index() -> EventIndex:
    return EventIndex(opened())


def test_events_are_found_by_job_message_and_account_the_newest_first(index: EventIndex) -> None:
    for number in range(5):
        index.add(number, numbered(number).event)
    index.add(7, numbered(1, DONE).event)
    assert [row.outcome for row in index.page(EventFilter(job=2)).rows] == ["applied", "rejected"]
    assert len(index.page(EventFilter(message_id="n-1")).rows) == 2
    assert len(index.page(EventFilter(account="acme", outcome="rejected")).rows) == 5
    assert index.page(EventFilter(account="globex")).rows == ()


@pytest.mark.parametrize(
    ("wanted", "found_by"),
    [
        (EventFilter(job=2), "job"),
        (EventFilter(job=2, account="acme", outcome="applied"), "job"),
        (EventFilter(message_id="n-1", account="acme"), "message"),
        (EventFilter(account="acme"), "account"),
        (EventFilter(outcome="superseded"), "outcome"),
        (EventFilter(account="acme", outcome="rejected"), "account_outcome"),
    ],
)
def test_no_filter_makes_it_read_a_million_events(wanted: EventFilter, found_by: str) -> None:
    database = opened()
    index, asked = EventIndex(database), list[str]()
    database.set_trace_callback(asked.append)
    index.page(wanted)
    database.set_trace_callback(None)
    [how] = [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {asked[-1]}")]
    assert how.startswith(f"SEARCH events USING INDEX events_{found_by} (")


def test_pages_by_cursor_show_each_event_once(index: EventIndex) -> None:
    for number in range(25):
        index.add(number, numbered(number).event)
    first = index.page(EventFilter(), limit=20)
    rest = index.page(EventFilter(), first.next, limit=20)
    assert [row.job_id for row in (*first.rows, *rest.rows)] == list(range(25, 0, -1))
    assert rest.next is None


@pytest.mark.parametrize("cursor", ["", "x", "9" * 5000, "99999999999999999999"])
def test_a_cursor_that_is_none_begins_at_the_newest(index: EventIndex, cursor: str) -> None:
    index.add(1, numbered(0).event)
    assert len(index.page(EventFilter(), cursor).rows) == 1
    assert index.page(EventFilter(job=2**64)).rows == ()


@pytest.mark.parametrize("hostile", [b"", b"{}", b"\xff", b'{"specversion": "1.0"}', b"[" * 9999])
def test_what_is_no_event_is_passed_over(index: EventIndex, hostile: bytes) -> None:
    assert index.add(1, hostile) is None
    assert len(index) == 0


def test_an_event_is_taken_in_once_however_it_is_come_by(index: EventIndex) -> None:
    assert index.add(4, numbered(0).event) is not None
    assert index.add(4, numbered(0).event) is None
    assert len(index) == 1


def test_the_state_tells_how_far_back_it_is_known(index: EventIndex) -> None:
    index.add(9, numbered(9).event)
    index.add(2, numbered(2).event)
    state = index.state()
    assert (state.back_to, state.newest) == (
        NOW + timedelta(seconds=3),
        NOW + timedelta(seconds=10),
    )
    assert (state.events, state.is_complete) == (2, False)


def test_the_last_quarter_of_an_hour_is_counted_by_account(index: EventIndex) -> None:
    for number in range(60):
        index.add(number, numbered(number).event)
    index.add(100, numbered(60, DONE).event)
    at = NOW + timedelta(minutes=2)
    assert dict(index.recent.statuses(at)["acme"]) == {"-33": 20, "-41": 20, "-52": 20, "0": 1}
    assert sum(index.recent.used(at)["acme"]) * 30 == pytest.approx(61, abs=1)
    assert [count for _, _, count in index.recent.rejections(at)] == [20, 20, 20]
    later = at + timedelta(minutes=20)
    assert not index.recent.statuses(later)
    assert not index.recent.used(later)
    assert len(index.recent.rejections(later)) == 3
    assert index.recent.rejections(at + timedelta(hours=2)) == []


def history_of(index: EventIndex, dead: Ended) -> JobHistory | None:
    return asyncio.run(index.history([dead.letter]))


def test_what_supersedes_a_letter_is_known_from_the_events(index: EventIndex) -> None:
    dead = numbered(1)
    newer = delivery(body(edit(jobId=2)), properties=properties(message_id="newer"))
    index.add(1, dead.event)
    index.is_complete = True
    history = history_of(index, dead)
    assert history is not None
    assert isinstance(history.standing(dead.letter), Redrivable)
    index.add(2, ended(newer, DONE, received=NOW + timedelta(hours=1)).event)
    history = history_of(index, dead)
    assert history is not None
    assert isinstance(history.standing(dead.letter), Overtaken)


def test_a_history_that_may_lack_events_is_none(index: EventIndex) -> None:
    dead = numbered(600)
    assert history_of(index, dead) is None
    index.add(600, dead.event)
    assert history_of(index, dead) is None
    index.add(1, numbered(1).event)
    assert history_of(index, dead) is not None


def test_the_oldest_make_room_when_there_are_too_many(index: EventIndex) -> None:
    index = EventIndex(opened(), at_most=20)
    index.is_complete = True
    for number in range(event_index.TRIM_BY + 30):
        index.add(number, numbered(number % 7).event)
    assert len(index) <= event_index.TRIM_BY + 20
    assert not index.is_complete
    assert index.page(EventFilter(), limit=1).rows[0].job_id


def test_others_have_their_turn_while_the_history_of_many_letters_is_told(
    index: EventIndex,
) -> None:
    async def turns() -> int:
        taken = 0
        telling = asyncio.create_task(index.history(letters))
        while not telling.done():
            taken += 1
            await asyncio.sleep(0)
        return taken

    letters = [numbered(number).letter for number in range(5 * TOGETHER)]
    assert asyncio.run(turns()) >= 5


def test_causes_of_more_than_an_hour_ago_are_forgotten(index: EventIndex) -> None:
    def known() -> int:
        gc.collect()
        cause_of.cache_clear()
        return sum(isinstance(each, Cause) for each in gc.get_objects())

    before = known()
    for number in range(50):
        other = Rejected(Reason.API_REJECTED, f"cause {chr(65 + number)}", status=f"-{number}")
        index.add(number, numbered(number, other).event)
    assert known() == before + 50
    later = ended(received=NOW + timedelta(hours=2))
    index.add(100, later.event)
    assert known() == before + 1
