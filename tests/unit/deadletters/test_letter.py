from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.unit.builders import NOW, delivery, properties
from tests.unit.deadletters.dead import ended
from worker.core.headers import Headers
from worker.deadletters.filter import DeadLetterFilter
from worker.deadletters.letter import read


def test_a_letter_says_why_whence_and_when() -> None:
    letter = read(ended().dead, 3)
    assert (letter.place, letter.reason, letter.status, letter.account) == (
        3,
        "api_rejected",
        "-33",
        "acme",
    )
    assert (letter.exchange, letter.routing_key) == ("task-edit", "LILIN888")
    assert (letter.received_at, letter.dead_at) == (NOW, NOW + timedelta(seconds=1))
    assert (letter.head.message_id, letter.head.job_id) == ("m-1", 123)
    assert letter.name == "m-1"


def test_what_anybody_put_into_the_queue_is_a_letter_that_says_nothing() -> None:
    bare = read(delivery(b"\xff", properties=properties(message_id=None)), 2)
    assert (bare.reason, bare.account, bare.dead_at, bare.identity) == ("", None, None, None)
    assert (bare.name, bare.head.job_id) == ("#2", None)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-22T08:00:00", "\udc80"])
def test_a_date_that_is_none_is_unknown(text: str) -> None:
    headers = Headers.of({"taskedit-dead-at": text, "taskedit-account": "No Account"})
    letter = read(delivery(properties=properties(headers=headers)), 1)
    assert (letter.dead_at, letter.account) == (None, None)
    assert letter.order == (datetime(1970, 1, 1, tzinfo=UTC), 1)


def test_copies_of_a_letter_have_one_key_and_all_others_another() -> None:
    dead = ended().dead
    key = read(dead, 1).key
    counted = dead.properties.headers.merged({"x-delivery-count": "3"})
    copy = replace(dead, tag=99, properties=replace(dead.properties, headers=counted))
    assert read(copy, 2).key == key
    later = dead.properties.headers.merged({"taskedit-redrives": "1"})
    assert read(replace(dead, properties=replace(dead.properties, headers=later)), 1).key != key
    assert read(replace(dead, body=dead.body + b" "), 1).key != key


def test_one_without_a_message_id_is_known_by_its_event() -> None:
    letter = ended(delivery(properties=properties(message_id=None))).letter
    assert letter.name == "by-chance"
    assert letter.identity is not None
    assert letter.identity.message_id == "by-chance"


LATER = NOW + timedelta(minutes=10)


@pytest.mark.parametrize(
    ("wanted", "takes"),
    [
        (DeadLetterFilter(), True),
        (DeadLetterFilter(reasons=frozenset({"api_rejected"})), True),
        (DeadLetterFilter(reasons=frozenset({"invalid"})), False),
        (DeadLetterFilter(statuses=frozenset({"-33"}), jobs=frozenset({123})), True),
        (DeadLetterFilter(statuses=frozenset({"-33"}), jobs=frozenset({124})), False),
        (DeadLetterFilter(accounts=frozenset({"acme"}), apps=frozenset({"LILIN888"})), True),
        (DeadLetterFilter(accounts=frozenset({"-"})), False),
        (DeadLetterFilter(names=frozenset({"#1"})), True),
        (DeadLetterFilter(names=frozenset({"#2"})), False),
        (DeadLetterFilter().named(["nobody", "m-1"]), True),
        (DeadLetterFilter(older_than=timedelta(minutes=9)), True),
        (DeadLetterFilter(older_than=timedelta(minutes=11)), False),
        (DeadLetterFilter(newer_than=timedelta(minutes=11)), True),
        (DeadLetterFilter(newer_than=timedelta(minutes=9)), False),
    ],
)
def test_a_letter_is_wanted_if_every_filter_takes_it(wanted: DeadLetterFilter, takes: bool) -> None:
    assert wanted.takes(ended().letter, LATER) is takes


def test_a_letter_without_a_date_is_of_no_age_and_one_without_an_account_is_of_none() -> None:
    bare = read(delivery(), 1)
    assert not DeadLetterFilter(older_than=timedelta(0)).takes(bare, LATER)
    assert DeadLetterFilter(accounts=frozenset({"-"})).takes(bare, LATER)
