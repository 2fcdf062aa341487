from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from schemas import read_event
from tests.unit.console.dead import numbered
from worker.console.letter_index import BODY_AT_MOST, FETCHED_AT_MOST, Kept, LetterIndex
from worker.console.model import LetterFilter
from worker.console.store import opened
from worker.core.headers import Headers
from worker.deadletters.letter import read

if TYPE_CHECKING:
    from collections.abc import Iterable

    from worker.core.message import Delivery

ALL = LetterFilter()


@pytest.fixture
def index() -> LetterIndex:
    return LetterIndex(opened())


def looked(index: LetterIndex, letters: Iterable[Delivery], *, complete: bool = True) -> list[str]:
    """The keys that a look has found."""
    index.begin_look()
    keys = [key for key, _ in index.see(list(letters))]
    index.end_look(complete=complete)
    return keys


def test_three_hundred_letters_of_three_causes_are_three_groups(index: LetterIndex) -> None:
    looked(index, (numbered(number).dead for number in range(300)))
    groups = index.groups("cause", ALL)
    assert {(group.count, group.status) for group in groups} == {
        (100, "-33"),
        (100, "-41"),
        (100, "-52"),
    }
    assert index.page(LetterFilter(cause=groups[0].id)).total == 100
    assert [group.id for group in index.groups("account", ALL)] == ["acme"]
    assert index.by_account() == {"acme": 300}


def test_of_a_job_with_many_letters_the_first_hundred_are_found(index: LetterIndex) -> None:
    dead = numbered(7).dead
    looked(index, (replace(dead, body=dead.body + b" " * number) for number in range(150)))
    assert len(index.of_job(8)) == 100
    assert index.page(LetterFilter(job=8)).total == 150


def test_pages_by_cursor_show_each_letter_once_in_the_order_of_death(index: LetterIndex) -> None:
    looked(index, (numbered(number).dead for number in reversed(range(120))))
    shown, cursor = [], None
    while True:
        page = index.page(ALL, cursor, limit=50)
        shown += [row.job_id for row in page.rows]
        assert page.total == 120
        if (cursor := page.next) is None:
            break
    assert shown == list(range(1, 121))


@pytest.mark.parametrize("cursor", ["", "x", ".", "9" * 5000, "٣", "99999999999999999999.k"])
def test_a_cursor_that_is_none_begins_at_the_first(index: LetterIndex, cursor: str) -> None:
    looked(index, [numbered(0).dead])
    assert len(index.page(ALL, cursor).rows) == 1


def test_a_letter_that_dies_after_the_look_is_known_by_its_event(index: LetterIndex) -> None:
    looked(index, [numbered(0).dead])
    assert index.groups("cause", ALL)[0].count == 1
    event = read_event(numbered(3).event)
    assert index.died(event)
    assert not index.died(event)
    assert index.groups("cause", ALL)[0].count == 2
    first, later = index.page(ALL).rows
    assert first.cause == later.cause
    assert (later.job_id, later.size, index.kept(later.key)) == (4, None, None)
    looked(index, [numbered(0).dead, numbered(3).dead])
    assert index.kept(later.key) is not None
    assert index.total == 2


def test_what_is_gone_at_the_next_look_is_forgotten_but_not_at_one_that_was_cut_short(
    index: LetterIndex,
) -> None:
    looked(index, [numbered(0).dead, numbered(1).dead])
    looked(index, [numbered(1).dead], complete=False)
    assert index.total == 2
    looked(index, [numbered(1).dead])
    assert [row.job_id for row in index.page(ALL).rows] == [2]


def test_a_letter_that_died_during_a_look_stays(index: LetterIndex) -> None:
    index.begin_look()
    index.died(read_event(numbered(1).event))
    index.see([numbered(0).dead])
    index.end_look(complete=True)
    assert index.total == 2


def test_a_look_that_somebody_watches_counts_its_letters_a_few_times_only() -> None:
    database = opened()
    index, asked = LetterIndex(database), list[str]()
    database.set_trace_callback(asked.append)
    index.begin_look()
    for first in range(0, 4000, 50):
        index.see([numbered(number).dead for number in range(first, first + 50)])
        assert index.total <= first + 50
        index.groups("cause", ALL)
    index.end_look(complete=True)
    assert index.total == 4000
    assert sum("sum(copies)" in each for each in asked) < 20


def test_a_letter_that_an_operation_has_had_in_hand_is_no_new_one() -> None:
    database = opened()
    index = LetterIndex(database)
    looked(index, [numbered(0).dead])
    [key] = [row.key for row in index.page(ALL).rows]
    database.execute("INSERT INTO touched VALUES (?, ?)", (key, "op"))
    index.remove([key])
    assert not index.died(read_event(numbered(0).event))
    assert index.total == 0


def test_copies_of_a_letter_are_one_row_and_counted(index: LetterIndex) -> None:
    looked(index, [numbered(0).dead, numbered(0).dead])
    assert [row.copies for row in index.page(ALL).rows] == [2]
    assert index.total == 2
    looked(index, [numbered(0).dead])
    assert index.total == 1


def test_two_letters_that_claim_one_event_are_two(index: LetterIndex) -> None:
    forged = replace(numbered(0).dead, body=b"forged")
    keys = looked(index, [numbered(0).dead, forged])
    assert len(set(keys)) == 2
    found = [index.kept(key) for key in keys]
    assert [kept.delivery.body for kept in found if kept] == [numbered(0).dead.body, b"forged"]


def test_a_kept_letter_is_read_as_the_queue_holds_it(index: LetterIndex) -> None:
    dead = numbered(0).dead
    hostile = replace(
        dead,
        routing_key="caf\udce9",
        properties=replace(dead.properties, type="a\udcffb\x00", reply_to="\u202ex"),
    )
    [key] = looked(index, [hostile])
    kept = index.kept(key)
    assert kept is not None
    assert (kept.delivery.body, kept.delivery.properties, kept.delivery.routing_key) == (
        hostile.body,
        hostile.properties,
        hostile.routing_key,
    )


@pytest.mark.parametrize("headers", [Headers(), Headers.of({"taskedit-event-id": "'; --\x00"})])
def test_what_is_no_letter_of_ours_is_shown_all_the_same(
    index: LetterIndex, headers: Headers
) -> None:
    dead = numbered(0).dead
    other = replace(dead, properties=replace(dead.properties, headers=headers), body=b"\xff")
    [key] = looked(index, [other])
    assert index.page(ALL).rows[0].key == key
    assert index.page(LetterFilter(hour="", reason="")).total == 1
    assert index.groups("hour", ALL)[0].id == ""


def test_large_bodies_are_not_kept(index: LetterIndex) -> None:
    dead = replace(numbered(0).dead, body=b" " * (BODY_AT_MOST + 1))
    [key] = looked(index, [dead])
    assert index.rows([key])[0].size == BODY_AT_MOST + 1
    assert index.kept(key) is None


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        (LetterFilter(account="acme"), 6),
        (LetterFilter(account="globex"), 0),
        (LetterFilter(status="-33", reason="api_rejected"), 2),
        (LetterFilter(job=3), 1),
        (LetterFilter(message_id="n-3"), 1),
        (LetterFilter(died_before="2000-01-01T00:00:00+00:00"), 0),
        (LetterFilter(died_before="no time"), 0),
        (LetterFilter(died_before="2999-01-01T00:00:00"), 0),
        (LetterFilter(hour="no hour"), 0),
        (LetterFilter(job=2**63), 0),
        (LetterFilter(job=-(2**70)), 0),
    ],
)
def test_a_filter_means_what_is_of_everything_that_it_gives(
    index: LetterIndex, wanted: LetterFilter, count: int
) -> None:
    looked(index, (numbered(number).dead for number in range(6)))
    assert index.page(wanted).total == len(index.keys(wanted)) == count


def test_the_letters_of_an_hour_are_found_by_the_id_of_its_group(index: LetterIndex) -> None:
    looked(index, (numbered(number * 3600).dead for number in range(3)))
    groups = index.groups("hour", ALL)
    assert [index.page(LetterFilter(hour=group.id)).total for group in groups] == [1, 1, 1]
    assert groups[0].newest is not None
    assert groups[0].newest > (groups[1].newest or groups[0].newest)


def test_letters_of_an_account_and_a_cause_are_counted_once_for_all_accounts() -> None:
    database = opened()
    index, asked = LetterIndex(database), list[str]()
    looked(index, (numbered(number).dead for number in range(7)))
    database.set_trace_callback(asked.append)
    first, second = index.by_cause(), index.by_cause()
    assert sorted(first.values()) == [2, 2, 3]
    assert first is second
    assert len(asked) == 1
    index.died(read_event(numbered(7).event))
    assert sorted(index.by_cause().values()) == [2, 3, 3]


def test_a_large_letter_that_was_fetched_is_kept_until_it_is_gone_or_others_take_its_place(
    index: LetterIndex,
) -> None:
    half = b" " * (FETCHED_AT_MOST // 2 - 1000)
    dead = [replace(numbered(n).dead, body=numbered(n).dead.body + half) for n in range(3)]
    keys = looked(index, dead)
    letters = [
        Kept(index.rows((key,))[0], read(one, 1), one) for key, one in zip(keys, dead, strict=True)
    ]
    index.fetched(letters[0])
    index.fetched(letters[1])
    assert [index.kept(key) for key in keys] == [*letters[:2], None]
    index.fetched(letters[2])
    assert [index.kept(key) for key in keys] == [None, *letters[1:]]
    index.remove(keys[2:])
    assert index.kept(keys[2]) is None
