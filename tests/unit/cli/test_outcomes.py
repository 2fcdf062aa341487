from __future__ import annotations

from datetime import UTC, datetime

from schemas import Bounds, Event, Names, Outcome, Reason, TaskEdit, encode, read_event
from tests.unit.cli.called import a_line
from worker.cli.drafts import Address, Addressed, checked, drafts
from worker.cli.publish import Outcomes
from worker.core.message import ConfirmResult

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)


def addressed(count: int) -> list[Addressed]:
    good = []
    for draft in drafts("edits.jsonl", "".join(a_line() for _ in range(count)).encode()):
        edit = checked(draft, Bounds())
        assert isinstance(edit, TaskEdit)
        good.append((draft, edit))
    return Address(Names(), Bounds(), prefix="m").addressed(good)


def event(
    message_id: str,
    outcome: Outcome,
    reason: Reason | None = None,
    status: str | None = None,
    words: str | None = None,
) -> Event:
    body = encode(
        event_id=f"event of {message_id}",
        outcome=outcome,
        message_id=message_id,
        correlation_id=None,
        account="acme",
        app_id="APP1",
        job_id=1,
        attempts=1,
        received_at=NOW,
        finished_at=NOW,
        reason=reason,
        api_status=status,
        api_reason=words,
    )
    return read_event(body)


def test_outcomes_are_counted_by_reason_and_status() -> None:
    edits = addressed(6)
    fates = dict.fromkeys((each.message_id for each in edits), ConfirmResult.CONFIRMED)
    refused = (Reason.API_REJECTED, "-33", "name \x1b[31mtaken")
    events = {
        "m1": event("m1", "applied"),
        "m2": event("m2", "rejected", *refused),
        "m3": event("m3", "rejected", *refused),
        "m4": event("m4", "rejected", Reason.UNKNOWN_APP),
        "m5": event("m5", "superseded"),
    }
    assert Outcomes(edits, fates, events).counted() == [
        ("rejected: api_rejected -33 (name ?[31mtaken)", 2),
        ("applied", 1),
        ("rejected: unknown_app", 1),
        ("superseded", 1),
        ("no outcome yet", 1),
    ]


def test_without_waiting_a_confirm_is_all_there_is_to_know() -> None:
    edits = addressed(4)
    fates = {
        "m1": ConfirmResult.CONFIRMED,
        "m2": ConfirmResult.UNROUTABLE,
        "m3": ConfirmResult.REFUSED,
    }
    outcomes = Outcomes(edits, fates, None)
    assert dict(outcomes.counted()) == {
        "confirmed": 1,
        "unroutable: no queue takes it": 1,
        "refused by RabbitMQ": 1,
        "not confirmed": 1,
    }
    assert list(outcomes.bad()) == [
        "edits.jsonl:2, job 1: unroutable: no queue takes it",
        "edits.jsonl:3, job 1: refused by RabbitMQ",
    ]


def test_an_outcome_counts_also_when_the_confirm_was_lost() -> None:
    edits = addressed(1)
    assert Outcomes(edits, {}, {"m1": event("m1", "applied")}).counted() == [("applied", 1)]
