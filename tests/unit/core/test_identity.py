"""Who a message is, and so what counts as a repeat of it."""

from __future__ import annotations

from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.builders import delivery, headers, properties, read
from tests.unit.schemas.builders import body, edit
from worker.core.identity import NAMESPACE, Identity, identity, redrives
from worker.core.message import Delivery, legible

FIRST = delivery()


def who(
    message: Delivery, account: str | None = "acme", message_id: str | None = "m-1"
) -> Identity:
    found = identity(message, account, message_id)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("again", "account", "message_id", "repeat"),
    [
        (FIRST, "acme", "m-1", True),
        (delivery(tag=7, redelivered=True, exchange="", routing_key="x"), "acme", "m-1", True),
        (delivery(properties=properties(correlation_id="other")), "acme", "m-1", True),
        (FIRST, "acme", "m-2", False),
        (FIRST, "other", "m-1", False),
        (FIRST, None, "m-1", False),
        (delivery(body(edit(robotCount=2))), "acme", "m-1", False),
        (
            delivery(properties=properties(headers=headers(taskedit_redrives="1"))),
            "acme",
            "m-1",
            False,
        ),
        (
            delivery(properties=properties(headers=headers(taskedit_redrives="0"))),
            "acme",
            "m-1",
            True,
        ),
    ],
)
def test_a_repeat_has_the_same_account_message_id_body_and_redrive_count(
    again: Delivery, account: str | None, message_id: str, *, repeat: bool
) -> None:
    first, second = who(FIRST), who(again, account, message_id)

    assert (first == second) is repeat
    assert (first.event_id("applied") == second.event_id("applied")) is repeat


@pytest.mark.parametrize("message_id", [None, ""])
def test_without_a_message_id_nothing_is_a_repeat(message_id: str | None) -> None:
    assert identity(FIRST, "acme", message_id) is None


def test_an_events_id_is_a_uuid_of_version_5_and_another_for_each_outcome() -> None:
    known = who(FIRST)

    ids = {UUID(known.event_id(outcome)) for outcome in ("applied", "rejected")}

    assert [each.version for each in ids] == [5, 5]


def test_an_events_id_stays_what_it_was_in_the_first_release() -> None:
    """Subscribers and the journal have these ids: a change makes every repeat a new edit."""
    known = Identity("acme", "m-1", bytes(32), 0)

    assert known.event_id("applied") == "9ac0ec8e-8ee2-5773-95d1-c391359265dd"


def test_parts_of_an_identity_cannot_be_moved_from_one_to_the_next() -> None:
    ids = {
        Identity("a", "bc", bytes(32), 1).event_id("applied"),
        Identity("a-b", "c", bytes(32), 1).event_id("applied"),
        Identity("a", "bc", bytes(32), 11).event_id("applied"),
    }

    assert len(ids) == 3


def test_a_message_id_that_is_no_text_still_identifies() -> None:
    assert who(FIRST, message_id="\udcff").event_id("applied")


@pytest.mark.parametrize(
    ("text", "count"),
    [("0", 0), ("3", 3), ("", 0), ("-1", 0), ("x", 0), ("1.5", 0), ("٣", 0), ("9" * 5000, 0)],
)
def test_the_redrive_count_is_a_small_whole_number_or_none(text: str, count: int) -> None:
    message = delivery(properties=properties(headers=headers(taskedit_redrives=text)))

    assert redrives(message) == count


def test_a_message_that_was_never_redriven_has_a_count_of_none() -> None:
    assert redrives(FIRST) == 0


@pytest.mark.parametrize(
    ("text", "shown"),
    [(None, None), ("", ""), ("plain", "plain"), ("Grüße 你好", "Grüße 你好"), ("a\udcffb", "a?b")],
)
def test_text_is_made_legible_only_where_it_is_not(text: str | None, shown: str | None) -> None:
    assert legible(text) == shown


@given(st.text(max_size=20), st.binary(min_size=32, max_size=32), st.integers(0, 9))
def test_an_event_id_is_a_uuid5_of_what_makes_a_repeat(text: str, digest: bytes, n: int) -> None:
    name = "\x1f".join(("acme", text, digest.hex(), str(n), "applied"))
    assert Identity("acme", text, digest, n).event_id("applied") == str(uuid5(NAMESPACE, name))


def test_a_dead_letter_that_comes_back_counts_as_a_redrive_more_than_its_header_says() -> None:
    said = headers(taskedit_event_id="e-1", taskedit_redrives="2")
    returned = delivery(properties=properties(headers=said))
    redriven = delivery(properties=properties(headers=headers(taskedit_redrives="3")))

    assert who(returned) == who(redriven)


def test_a_returned_letter_without_a_message_id_goes_by_the_id_of_its_event() -> None:
    said = headers(taskedit_event_id="e-1")

    returned = delivery(properties=properties(message_id=None, headers=said))

    assert read(returned).head.message_id == "e-1"
