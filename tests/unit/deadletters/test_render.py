from __future__ import annotations

from datetime import timedelta

import pytest

from tests.unit.builders import NOW, delivery, properties
from tests.unit.deadletters.dead import ended
from worker.deadletters.filter import Groups
from worker.deadletters.letter import read
from worker.deadletters.render import age, columns, counted, fitted, moment, plain, stamp


@pytest.mark.parametrize(
    ("seconds", "says"),
    [(-5, "0s"), (0, "0s"), (119, "119s"), (120, "2m"), (7199, "119m"), (7200, "2h"),
     (172_799, "47h"), (172_800, "2d")],
)  # fmt: skip
def test_an_age_is_told_in_the_largest_unit_that_fits_twice(seconds: int, says: str) -> None:
    assert age(NOW - timedelta(seconds=seconds), NOW) == says


def test_what_is_not_known_is_a_question_mark() -> None:
    assert (age(None, NOW), moment(None), stamp(None)) == ("?", "?", None)
    assert (moment(NOW), stamp(NOW)) == ("2026-11-22 08:00:00 UTC", "2026-11-22T08:00:00.000Z")


def test_columns_are_as_wide_as_their_widest_text() -> None:
    rows = [("N", "WHY"), ("10", "a"), ("7", "longer")]
    assert list(columns(rows, frozenset({0}))) == [" N  WHY", "10  a", " 7  longer"]


@pytest.mark.parametrize("width", [20, 30, 60, 80])
def test_no_line_is_wider_than_the_terminal_and_no_word_is_lost(width: int) -> None:
    rows = [("COUNT", "WHY", "CAUSE"), ("1", "invalid", "must be a number " * 8), ("22", "x", "y")]
    lines = list(columns(rows, frozenset({0}), width))
    assert max(map(len, lines)) <= width
    assert " ".join(lines).split() == " ".join(" ".join(row) for row in rows).split()


def test_the_last_column_goes_on_below_itself_and_other_lines_further_in() -> None:
    rows = [("A", "WHY"), ("1", "one two three four five six")]
    assert list(columns(rows, width=25)) == [
        "A  WHY",
        "1  one two three four",
        "   five six",
    ]
    assert fitted("  a longer line", 10) == ["  a longer", "     line"]
    assert fitted("  a longer line", None) == ["  a longer line"]


def test_no_text_can_steer_a_terminal() -> None:
    assert plain("a\x1b[31m\u009b\u202e\nb\tc") == "a\ufffd[31m\ufffd\ufffd\nb\tc"
    assert plain("x" * 2001) == "x" * 2000 + "…"


def test_one_is_no_plural() -> None:
    assert (counted(1), counted(0), counted(2, "event")) == (
        "1 dead letter",
        "0 dead letters",
        "2 events",
    )


def test_letters_are_grouped_by_reason_and_status_the_largest_first() -> None:
    groups = Groups()
    groups.add(read(delivery(properties=properties()), 1))
    for minutes in (5, 1, 9):
        groups.add(ended(received=NOW + timedelta(minutes=minutes)).letter)
    refused, foreign = groups.listed()
    assert (refused.reason, refused.status, refused.count) == ("api_rejected", "-33", 3)
    assert refused.oldest == NOW + timedelta(minutes=1, seconds=1)
    assert refused.newest == NOW + timedelta(minutes=9, seconds=1)
    assert refused.accounts == {"acme": 3}
    assert (foreign.reason, foreign.count, foreign.oldest) == ("", 1, None)
