from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from schemas.names import PLACE_HEADER
from tests.unit.builders import NOW, delivery, properties
from tests.unit.deadletters.dead import DONE, Ended, ended, sent_again
from tests.unit.schemas.builders import body, edit, event
from worker.core.identity import Place
from worker.deadletters.history import AlreadySettled, JobHistory, Overtaken, Redrivable

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
LATER = NOW + HOUR
PLACE = Place(7, 1)


def past(of: Ended, *events: bytes) -> JobHistory:
    """What the journal tells of a letter, when it has these events."""
    found = JobHistory.of([of.letter])
    for one in events:
        found.hear(one)
    return found


def edited(message_id: str | None = "m-2", **at: timedelta) -> Ended:
    """Another edit of the same job, applied; `received` and `after` as in `ended`."""
    message = delivery(properties=properties(message_id=message_id))
    received = NOW + at.get("received", HOUR)
    return ended(message, DONE, received=received, after=at.get("after", SECOND))


def test_a_letter_of_which_nothing_else_is_known_may_be_sent_again() -> None:
    dead = ended()
    assert past(dead, dead.event).standing(dead.letter) == Redrivable(1)


def test_a_newer_edit_of_the_job_that_was_applied_supersedes_it() -> None:
    dead, newer = ended(), edited()
    assert past(dead, dead.event, newer.event).standing(dead.letter) == Overtaken(
        "m-2", NOW + HOUR + SECOND, 1
    )


@pytest.mark.parametrize(
    "other",
    [
        edited(received=-HOUR).event,
        edited(received=-SECOND, after=HOUR).event,
        ended(delivery(properties=properties(message_id="m-2")), received=NOW + HOUR).event,
        ended(delivery(properties=properties(message_id="m-2")), DONE, account="zeta",
              received=NOW + HOUR).event,
        ended(delivery(body(edit(jobId=124))), DONE, received=NOW + HOUR).event,
        b"{}",
    ],
    ids=["older", "older, ended later", "rejected", "of another account", "other job", "no event"],
)  # fmt: skip
def test_any_other_event_does_not(other: bytes) -> None:
    dead = ended()
    assert past(dead, dead.event, other).standing(dead.letter) == Redrivable(1)


def test_in_the_same_millisecond_an_edit_counts_as_newer() -> None:
    """A letter's headers tell the time no closer, and a newer edit must not be undone."""
    dead = ended(received=NOW + timedelta(microseconds=900))
    early = timedelta(microseconds=100)
    twin = edited(received=early, after=SECOND)
    assert isinstance(past(dead, twin.event).standing(dead.letter), Overtaken)


def test_an_older_edit_that_was_sent_again_is_not_a_newer_one() -> None:
    first = ended(delivery(properties=properties(message_id="m-0")))
    dead = ended(received=NOW + SECOND)
    again = ended(sent_again(first.dead), DONE, received=NOW + HOUR)
    assert isinstance(past(dead, again.event).standing(dead.letter), Overtaken)
    doubted = past(dead, again.event)
    assert doubted.is_doubtful(dead.letter)
    doubted.hear_begin(first.event)
    assert doubted.standing(dead.letter) == Redrivable(1)


def test_the_same_holds_of_one_that_had_no_message_id() -> None:
    first = ended(delivery(properties=properties(message_id=None)))
    named = replace(first.dead.properties, message_id=first.letter.event_id)
    again = ended(sent_again(replace(first.dead, properties=named)), DONE, received=NOW + HOUR)
    dead = ended(received=NOW + SECOND)
    assert past(dead, first.event, again.event).standing(dead.letter) == Redrivable(1)


def test_a_copy_of_what_was_sent_again_and_applied_is_settled() -> None:
    dead = ended()
    again = ended(sent_again(dead.dead), DONE, received=NOW + HOUR)
    assert past(dead, dead.event, again.event).standing(dead.letter) == AlreadySettled("applied")


def test_one_that_was_sent_again_and_rejected_is_settled_while_its_new_letter_lies_there() -> None:
    dead = ended()
    again = ended(sent_again(dead.dead), received=NOW + HOUR)
    known = past(dead, dead.event, again.event)
    assert known.standing(dead.letter, newest=1) == AlreadySettled("rejected")
    assert known.standing(dead.letter) == Redrivable(2), "its count would make it a repeat"
    assert known.standing(again.letter, newest=1) == Redrivable(2)


def test_once_what_it_was_mended_to_is_applied_the_original_is_overtaken() -> None:
    first = ended()
    stood = first.dead.properties.headers.merged({PLACE_HEADER: str(PLACE)})
    dead = replace(first.dead, properties=replace(first.dead.properties, headers=stood))
    letter = replace(first, dead=dead).letter
    mended = ended(sent_again(replace(dead, body=body(edit(name="mended")))), DONE, received=LATER)

    known = JobHistory.of([letter])
    known.hear(first.event, PLACE)
    assert known.standing(letter) == Redrivable(1)
    known.hear(ended(verdict=DONE).event, PLACE)
    assert known.standing(letter) == Redrivable(1), "that is itself, by another settlement"
    known.hear(mended.event, PLACE)
    assert known.standing(letter) == Overtaken("m-1", LATER + SECOND, 1)


def test_a_letter_of_no_account_is_settled_by_whoever_took_it() -> None:
    dead = ended(account=None)
    again = ended(sent_again(dead.dead), DONE, account="zeta", received=NOW + HOUR)
    assert past(dead, dead.event, again.event).standing(dead.letter) == AlreadySettled("applied")


def test_only_events_of_the_letters_jobs_are_read() -> None:
    dead = ended()
    known = JobHistory.of([dead.letter])
    assert known.wants("any", event())
    assert not known.wants("any", event(job_id=1234))
    assert not known.wants("any", event(job_id=12, message_id='"jobId":123'))
    assert not known.wants(None, b"")


def test_of_one_that_cannot_be_read_the_next_events_are_known_by_their_ids() -> None:
    dead = ended(delivery(b"no json"))
    again = ended(sent_again(dead.dead), received=NOW + HOUR)
    known = JobHistory.of([dead.letter])
    heard = known.hear(again.event)
    assert heard is not None
    assert known.wants(heard.id, again.event)
    assert known.standing(dead.letter, newest=1) == AlreadySettled("rejected")
