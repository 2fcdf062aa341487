from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tests.unit.builders import NOW, delivery, properties
from tests.unit.deadletters.dead import DONE, ended, sent_again
from tests.unit.schemas.builders import body, edit
from worker.core.identity import OLDEST
from worker.deadletters.history import JobHistory
from worker.deadletters.plan import RedriveAction, first_within, message, planned

if TYPE_CHECKING:
    from worker.deadletters.letter import Letter

HOUR = timedelta(hours=1)


def numbered(number: int, job: int = 123) -> Letter:
    of = delivery(body(edit(jobId=job)), properties=properties(message_id=f"n-{number}"))
    return ended(of, received=NOW + timedelta(minutes=number)).letter


def test_letters_are_sent_in_the_order_of_their_deaths_and_copies_once() -> None:
    letters = [numbered(2), numbered(0), numbered(1), numbered(0)]
    plan = planned(letters, JobHistory.of(letters), {})
    assert [move.key for move in plan.moves] == [numbered(n).key for n in range(3)]
    assert (plan.sends, plan.copies, plan.beyond) == (3, 0, 0)


def test_the_limit_is_on_what_is_sent() -> None:
    letters = [numbered(n) for n in range(5)]
    done = ended(sent_again(ended().dead), DONE, received=NOW + HOUR)
    known = JobHistory.of([*letters, ended().letter])
    known.hear(done.event)
    plan = planned([*letters, ended().letter], known, {}, most=2, even_if_superseded=True)
    assert (plan.sends, plan.copies, plan.beyond) == (2, 1, 3)


def test_what_is_superseded_is_left_unless_told_otherwise() -> None:
    letters = [numbered(0), numbered(1, job=124)]
    newer = delivery(properties=properties(message_id="newer"))
    known = JobHistory.of(letters)
    known.hear(ended(newer, DONE, received=NOW + HOUR).event)
    plan = planned(letters, known, {})
    assert [letter.name for letter, _ in plan.superseded] == ["n-0"]
    assert [move.key for move in plan.moves] == [letters[1].key]
    assert planned(letters, known, {}, even_if_superseded=True).sends == 2


def test_a_mended_letter_is_sent_with_its_new_body() -> None:
    letter = numbered(0)
    plan = planned([letter], JobHistory.of([letter]), {}, mended={letter.key: b"{}"})
    assert plan.moves == (RedriveAction(letter.key, letter.size, 1, b"{}", OLDEST),)


def test_letters_of_one_message_are_known_as_such() -> None:
    first = ended()
    later = ended(sent_again(first.dead), received=NOW + HOUR)
    assert message(first.letter) == message(later.letter)
    assert message(first.letter) != message(numbered(1))


def test_a_round_is_as_many_letters_as_may_be_held_and_at_least_one() -> None:
    moves = [RedriveAction(b"", size, 1) for size in (50, 40, 30)]
    assert [first_within(moves, size) for size in (10, 50, 90, 119, 120, 999)] == [1, 1, 2, 2, 3, 3]
