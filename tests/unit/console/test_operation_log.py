from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from schemas import OperationRecord
from tests.unit.builders import delivery, properties
from tests.unit.console.dead import numbered
from worker.console.letter_index import LetterIndex
from worker.console.operation_log import LOCKED_WITHIN, OperationLog, Running
from worker.console.store import opened
from worker.deadletters.redrive import RedriveProgress

LONG_AGO = datetime.now(UTC) - LOCKED_WITHIN - timedelta(minutes=1)


@pytest.fixture
def log() -> OperationLog:
    return OperationLog(opened())


def record(number: int = 1, **changes: object) -> OperationRecord:
    good = OperationRecord(
        id=f"op-{number}",
        phase="begun",
        at=LONG_AGO,
        actor="Li Wei",
        user="guest",
        via="console",
        action="redrive",
        count=3,
        ids=("e-1", "e-2", "e-3"),
    )
    return good.model_copy(update=changes)


def heard(log: OperationLog, *records: OperationRecord, user: str = "guest") -> None:
    for each in records:
        content = each.model_dump_json().encode()
        log.hear(delivery(content, properties=properties(user_id=user)))


def test_an_operation_is_vouched_for_only_by_the_user_that_wrote_it(log: OperationLog) -> None:
    heard(log, record(1))
    heard(log, record(2), user="mallory")
    assert [row.user for row in log.page().rows] == [None, "guest"]


def test_an_operation_that_ended_says_what_came_of_it(log: OperationLog) -> None:
    heard(log, record(), record(phase="ended", result={"sent": 3, "done": 3, "applied": 2}))
    row = log.row("op-1")
    assert row is not None
    assert (row.state, row.done, row.left, row.applied) == ("ended", 3, 0, 2)
    assert not row.can_go_on


@pytest.mark.parametrize(
    ("result", "state"), [({"stopped": "5 of 5"}, "stopped"), ({"failed": "lost"}, "failed")]
)
def test_one_that_stopped_or_failed_says_so(
    log: OperationLog, result: dict[str, str], state: str
) -> None:
    heard(log, record(), record(phase="ended", result=result))
    assert [row.state for row in log.page().rows] == [state]


@pytest.mark.parametrize("name", ["unroutable", "refused", "unsure"])
def test_what_no_queue_took_is_not_done(log: OperationLog, name: str) -> None:
    heard(log, record(), record(phase="ended", result={"sent": 1, name: 2}))
    row = log.row("op-1")
    assert row is not None
    assert (row.state, row.done, row.left) == ("incomplete", 1, 2)


def test_a_command_that_ended_tells_what_is_left_by_what_it_took_out(log: OperationLog) -> None:
    result = {"sent": 1, "copies": 1, "gone": 1}
    heard(log, record(), record(phase="ended", result=result))
    row = log.row("op-1")
    assert row is not None
    assert (row.done, row.left) == (3, 0)


def test_of_one_cut_short_a_look_since_then_tells_how_many_are_left() -> None:
    database = opened()
    log, index = OperationLog(database), LetterIndex(database)
    dead = [numbered(number).dead for number in range(3)]
    ids = tuple(numbered(number).letter.event_id for number in range(3))
    heard(log, record(ids=ids))
    log.see_lock(is_locked=False)
    [row] = log.unended()
    assert (row.left, row.can_go_on) == (None, True), "nobody has looked"
    index.begin_look()
    index.see(dead[1:])
    index.end_look(complete=True)
    log.looked_at = LONG_AGO - timedelta(seconds=1)
    assert [row.left for row in log.unended()] == [None], "somebody may have sent since"
    log.looked_at = datetime.now(UTC)
    assert [(row.done, row.left) for row in log.unended()] == [(1, 2)]
    heard(log, record(2, ids=ids, count=1001))
    assert log.unended()[-1].left is None, "not all are recorded"


def test_one_that_failed_is_gone_on_with_once(log: OperationLog) -> None:
    failed = {"failed": "lost", "sent": 1}
    heard(log, record(), record(phase="ended", result=failed))
    [row] = log.page().rows
    assert (row.done, row.left, row.can_go_on) == (1, 2, True)
    heard(log, record(phase="ended", result=failed | {"goes_on_in": "op-2"}))
    assert [row.can_go_on for row in log.page().rows] == [False]


def test_it_was_cut_short_only_where_nobody_is_at_the_letters(log: OperationLog) -> None:
    heard(log, record())
    assert [row.state for row in log.unended()] == ["unknown"]
    log.see_lock(is_locked=True)
    assert [row.state for row in log.unended()] == ["unknown"]
    assert log.has_open
    log.see_lock(is_locked=False)
    assert [(row.state, row.can_go_on) for row in log.unended()] == [("interrupted", True)]
    assert not log.has_open


def test_at_the_letters_is_none_that_was_cut_short_or_never_was_at_them(log: OperationLog) -> None:
    heard(log, record(1, actor="Ann"))
    log.see_lock(is_locked=False)
    heard(log, record(2), record(3, action="prune", actor="Bob"))
    log.see_lock(is_locked=True)
    row = log.at_the_letters()
    assert row is not None
    assert (row.id, row.actor) == ("op-2", "Li Wei")
    heard(log, record(2, phase="ended", result={"sent": 3}))
    assert log.at_the_letters() is None


def test_one_that_has_just_begun_may_not_have_the_lock_yet(log: OperationLog) -> None:
    heard(log, record(at=datetime.now(UTC)))
    log.see_lock(is_locked=False)
    assert [row.state for row in log.unended()] == ["unknown"]


def test_one_of_this_console_runs_however_the_lock_is(log: OperationLog) -> None:
    heard(log, record())
    log.running["op-1"] = Running(RedriveProgress(sent=1, rejected=1), 3)
    log.see_lock(is_locked=False)
    [row] = log.unended()
    assert (row.state, row.is_ours, row.done, row.left, row.rejected) == ("running", True, 1, 2, 1)


def test_who_had_a_letter_in_hand_is_found_by_its_event(log: OperationLog) -> None:
    heard(log, record(1), record(2, ids=("e-2",), action="discard"), record(3, ids=()))
    assert [row.id for row in log.of_letter("e-2")] == ["op-1", "op-2"]
    assert log.ids("op-1") == ("e-1", "e-2", "e-3")


def test_pages_show_each_operation_once_the_newest_first(log: OperationLog) -> None:
    heard(log, *(record(number) for number in range(5)))
    shown, cursor = [], None
    while True:
        page = log.page(cursor, limit=2)
        shown += [row.id for row in page.rows]
        if (cursor := page.next) is None:
            break
    assert shown == [f"op-{number}" for number in (4, 3, 2, 1, 0)]


def test_what_is_no_record_is_passed_over(log: OperationLog) -> None:
    assert log.hear(delivery(b"{}")) is None
    heard(log, record(phase="ended"))
    assert log.page().rows == ()


@pytest.mark.parametrize(
    ("action", "can_stop"), [("redrive", True), ("mend", True), ("discard", False)]
)
def test_what_runs_here_can_be_stopped_here_unless_it_is_a_discard(
    action: str, can_stop: bool, log: OperationLog
) -> None:
    heard(log, record(action=action))
    log.running["op-1"] = Running(RedriveProgress(), 3)
    row = log.row("op-1")
    assert row is not None
    assert (row.state, row.is_ours) == ("running", can_stop)
