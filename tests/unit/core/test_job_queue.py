"""Edits of one job go one at a time and in order; those of other jobs pass."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.unit.builders import waiting
from worker.core.job_queue import JobQueue

if TYPE_CHECKING:
    from worker.core.job_queue import HeldEdit


def window(*jobs: int) -> tuple[JobQueue, list[HeldEdit]]:
    """A window with an edit for each job in this order."""
    held = [waiting(job, number) for number, job in enumerate(jobs)]
    new = JobQueue()
    for edit in held:
        new.add(edit)
    return new, held


def test_the_oldest_edit_goes_first_and_jobs_go_side_by_side() -> None:
    line, held = window(1, 2, 3)

    assert [line.take(0.0) for _ in range(4)] == [*held, None]


def test_the_next_edit_of_a_job_waits_until_the_one_before_is_removed() -> None:
    line, (first, second, other) = window(1, 1, 2)

    assert [line.take(0.0), line.take(0.0), line.take(0.0)] == [first, other, None]
    line.remove(first)

    assert line.take(0.0) is second


def test_an_edit_put_back_holds_its_job_until_it_is_due_and_stays_first() -> None:
    line, (first, second) = window(1, 1)
    line.take(0.0)
    line.put_back(first, 5.0)

    assert line.next_due() == 5.0
    assert line.take(4.9) is None
    assert line.take(5.0) is first
    line.remove(first)
    assert line.take(5.0) is second


def test_a_probe_is_the_oldest_edit_of_a_job_not_probed_yet_due_or_not() -> None:
    line, (first, second, other) = window(1, 1, 2)
    line.take(0.0)
    line.put_back(first, 99.0)

    assert line.take_probe(frozenset()) is first
    line.put_back(first, 99.0)
    assert line.take_probe(frozenset((1,))) is other
    line.put_back(other, 0.0)
    assert line.take_probe(frozenset((1, 2))) is None
    assert second.due == 0.0


def test_a_probe_that_is_put_back_is_not_taken_before_it_is_due() -> None:
    line, (first,) = window(1)
    line.take_probe(frozenset())
    line.put_back(first, 5.0)

    assert line.take(4.9) is None
    assert line.next_due() == 5.0
    assert line.take(5.0) is first


def test_after_a_clear_a_job_under_way_is_busy_until_its_call_is_over() -> None:
    line, (first,) = window(1)
    line.take(0.0)
    line.clear()
    again = waiting(1, number=7)
    line.add(again)

    assert line.take(0.0) is None
    line.remove(first)  # of the window before; nothing of the new one goes with it

    assert len(line) == 1
    assert line.take(0.0) is again


def test_an_edit_of_a_window_that_went_back_cannot_be_put_back_into_the_next() -> None:
    line, (first,) = window(1)
    line.take(0.0)
    line.clear()
    line.put_back(first, 50.0)

    assert len(line) == 0
    assert line.take(99.0) is None
    assert line.next_due() is None


def test_the_longest_held_edit_is_known() -> None:
    line, held = window(1, 1, 2)
    for edit, since in zip(held, (3.0, 4.0, 2.0), strict=True):
        edit.held_since = since

    assert line.oldest() == 2.0
    assert JobQueue().oldest() is None


class Windows(RuleBasedStateMachine):
    """Adds, takes, puts back, settles and loses edits in any order, beside a naive model."""

    def __init__(self) -> None:
        super().__init__()
        self.window = JobQueue()
        self.lines: dict[int, list[HeldEdit]] = defaultdict(list)
        self.taken: list[HeldEdit] = []
        self.now = 0.0
        self.number = 0

    @rule(job=st.integers(1, 3))
    def add(self, job: int) -> None:
        self.number += 1
        edit = waiting(job, self.number)
        self.window.add(edit)
        self.lines[job].append(edit)

    def may_go(self) -> list[HeldEdit]:
        busy = {edit.edit.job for edit in self.taken}
        return [line[0] for job, line in self.lines.items() if line and job not in busy]

    @rule()
    def take(self) -> None:
        due = [edit for edit in self.may_go() if edit.due <= self.now]
        expected = min(due, key=lambda edit: edit.number, default=None)

        assert self.window.can_take(self.now, to_probe=False) is bool(due)
        assert self.window.can_take(self.now, to_probe=True) is bool(self.may_go())
        found = self.window.take(self.now)

        assert found is expected
        if found is not None:
            self.taken.append(found)

    @rule(probed=st.frozensets(st.integers(1, 3), max_size=1))
    def take_probe(self, probed: frozenset[int]) -> None:
        fit = [edit for edit in self.may_go() if edit.edit.job not in probed]
        expected = min(fit, key=lambda edit: edit.number, default=None)

        found = self.window.take_probe(probed)

        assert found is expected
        if found is not None:
            self.taken.append(found)

    @precondition(lambda self: self.taken)
    @rule(which=st.integers(0, 99), wait=st.sampled_from((0.0, 1.0, 5.0)))
    def put_back(self, which: int, wait: float) -> None:
        edit = self.taken.pop(which % len(self.taken))
        self.window.put_back(edit, self.now + wait)

    @precondition(lambda self: self.taken)
    @rule(which=st.integers(0, 99))
    def remove(self, which: int) -> None:
        edit = self.taken.pop(which % len(self.taken))
        line = self.lines[edit.edit.job]
        if edit in line:
            line.remove(edit)
        self.window.remove(edit)

    @rule()
    def clear(self) -> None:
        self.window.clear()
        self.lines.clear()

    @rule(seconds=st.sampled_from((0.5, 1.0, 5.0)))
    def time_goes_by(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def nothing_is_forgotten(self) -> None:
        assert sorted(edit.number for edit in self.window) == sorted(
            edit.number for line in self.lines.values() for edit in line
        )
        assert len(self.window) == sum(len(line) for line in self.lines.values())
        assert self.window.busy == len({edit.edit.job for edit in self.taken})

    @invariant()
    def what_waits_for_its_time_has_one(self) -> None:
        later = [edit.due for edit in self.may_go() if edit.due > self.now]
        due = self.window.next_due()
        assert due is None or due <= min(later, default=due)
        assert not later or due is not None


TestWindows = Windows.TestCase
TestWindows.settings = settings(max_examples=20, stateful_step_count=25)
