from __future__ import annotations

import pytest

from schemas import Reason
from tests.unit.deadletters.dead import ended
from worker.core.verdict import Rejected
from worker.deadletters.filter import GROUPS_AT_MOST, Groups, cause


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("redialTimes: 7 is over 3", "redialTimes: 12 is over 3", True),
        ("name: 'a' is taken", "name: 'b' is taken", True),
        ('unknown field "x"', 'unknown field "y z"', True),
        ("name: is missing", "mode: is missing", False),
    ],
)
def test_a_cause_is_the_detail_without_its_values(one: str, other: str, *, same: bool) -> None:
    assert (cause(one) == cause(other)) is same


def grouped(details: list[str]) -> Groups:
    found = Groups()
    for detail in details:
        found.add(ended(verdict=Rejected(Reason.INVALID, detail)).letter)
    return found


def test_letters_of_one_reason_and_two_causes_are_two_groups() -> None:
    listed = grouped(["a: 1 is bad", "b: 1 is bad", "a: 2 is bad"]).listed()

    assert [(group.cause, group.count) for group in listed] == [
        ("a: N is bad", 2),
        ("b: N is bad", 1),
    ]


def test_causes_without_end_end_in_one_group() -> None:
    words = [f"{'x' * (1 + n // 26)}{chr(97 + n % 26)}" for n in range(GROUPS_AT_MOST + 50)]

    listed = grouped(words).listed()

    assert len(listed) == GROUPS_AT_MOST + 1
    assert (listed[0].cause, listed[0].count) == ("", 50)
