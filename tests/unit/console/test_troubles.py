"""What somebody has to do something about: each thing once, the worst first."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from schemas import Paused
from tests.unit.builders import NOW
from worker.console.causes import cause_of
from worker.console.model import (
    Account,
    BrokerState,
    OperationRow,
    Replica,
    Trouble,
)
from worker.console.troubles import REJECTIONS_AT_LEAST, troubles_of

if TYPE_CHECKING:
    from collections.abc import Mapping

UP = BrokerState(is_up=True, since=NOW)
GOOD = Account("acme", "running", waiting=0)
WORKER = Replica("w-1", "1.2.3", ("acme",), (), NOW, is_silent=False, is_ready=True)
CAUSE = cause_of("invalid", "", "redialTimes must be a whole number from 1 to 3.")
CUT_SHORT = OperationRow(
    "op", NOW, "Li Wei", None, "console", "redrive", {}, 300, (), None, None, None, "interrupted",
    left=180,
)  # fmt: skip


def found(**changes: Any) -> tuple[Trouble, ...]:  # noqa: ANN401 (the arguments of `troubles_of`)
    good: Mapping[str, Any] = {
        "broker": UP,
        "accounts": [GOOD],
        "replicas": [WORKER],
        "rejections": [],
        "interrupted": [],
        "unread": {"letters_unseen": None, "journal_unread": None},
        "is_heard": True,
    }
    return troubles_of(**{**good, **changes})


def test_when_all_is_well_there_is_none() -> None:
    assert found() == ()


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"broker": replace(UP, is_up=False, why="refused")}, "broker_away"),
        ({"replicas": []}, "fleet_unseen"),
        ({"replicas": [replace(WORKER, is_silent=True)]}, "fleet_unseen"),
        ({"accounts": [replace(GOOD, state="suspended", api_status="-3")]}, "suspended"),
        ({"accounts": [replace(GOOD, state="throttled")]}, "throttled"),
        ({"accounts": [replace(GOOD, state="unserved")]}, "unserved"),
        ({"accounts": [replace(GOOD, state="a newer state")]}, "suspended"),
        ({"replicas": [WORKER, replace(WORKER, name="w-2", is_silent=True)]}, "replica_silent"),
        ({"replicas": [replace(WORKER, is_ready=False, why="draining")]}, "replica_not_ready"),
        ({"rejections": [("acme", CAUSE, REJECTIONS_AT_LEAST, None)]}, "rejections"),
        ({"interrupted": [CUT_SHORT]}, "operation_interrupted"),
        ({"unread": {"letters_unseen": "no queue"}}, "letters_unseen"),
        ({"unread": {"journal_unread": "no stream"}}, "journal_unread"),
    ],
)
def test_each_trouble_is_told_once_by_its_kind(changes: dict[str, Any], kind: str) -> None:
    assert [trouble.kind for trouble in found(**changes)] == [kind]


def test_the_worst_comes_first_and_of_one_kind_where_most_waits() -> None:
    paused = Paused(by="Li Wei", why=None, since=NOW, until=None)
    accounts = [
        replace(GOOD, name="zeta", state="paused", paused=paused),
        replace(GOOD, name="acme", state="suspended", waiting=3),
        replace(GOOD, name="globex", state="suspended", waiting=1204),
    ]
    troubles = found(accounts=accounts, rejections=[("acme", CAUSE, 300, 300)])
    assert [(trouble.kind, trouble.account) for trouble in troubles] == [
        ("suspended", "globex"),
        ("suspended", "acme"),
        ("rejections", "acme"),
        ("paused", "zeta"),
    ]


def test_a_worker_that_had_no_time_to_be_heard_is_not_missed() -> None:
    assert found(replicas=[], accounts=[replace(GOOD, state="unserved")], is_heard=False) == ()


def test_a_few_rejections_are_a_slip() -> None:
    assert found(rejections=[("acme", CAUSE, REJECTIONS_AT_LEAST - 1, None)]) == ()


def test_rejections_are_a_trouble_as_long_as_their_letters_are_dead() -> None:
    [trouble] = found(rejections=[("acme", CAUSE, 300, REJECTIONS_AT_LEAST)])
    assert (trouble.facts["count"], trouble.facts["left"]) == (300, REJECTIONS_AT_LEAST)
    assert found(rejections=[("acme", CAUSE, 300, REJECTIONS_AT_LEAST - 1)]) == ()
