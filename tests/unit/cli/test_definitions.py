from __future__ import annotations

import re

import pytest

from schemas import Names
from worker.cli.topology import needed

NAMES = Names("task-edit")
LANES = [NAMES.lane("acme")]


@pytest.mark.parametrize(
    ("declare", "right", "name", "allowed"),
    [
        (True, "configure", "task-edit.lane.acme", True),
        (True, "configure", "task-edit.lane.other", False),
        (True, "configure", "task-editXdead", False),
        (False, "configure", "task-edit.lane.acme", False),
        (False, "configure", "", False),
        (False, "write", "amq.default", True),
        (False, "write", "task-edit.events", True),
        (False, "write", "task-edit", False),
        (False, "read", "task-edit.lane.acme", True),
        (False, "read", "task-edit.dead", False),
        (False, "read", "task-edit", True),
        (True, "read", "task-edit", True),
    ],
)
def test_a_workers_user_is_allowed_what_it_needs_and_no_more(
    name: str, right: str, *, declare: bool, allowed: bool
) -> None:
    pattern = needed(NAMES, LANES, declare=declare).patterns()[right]
    assert bool(name and re.search(pattern, name)) is allowed


def test_permissions_are_granted_by_one_command() -> None:
    command = needed(NAMES, LANES, declare=False).command("worker", "/")
    assert command.startswith("rabbitmqctl set_permissions -p / worker '^()$' '^(amq[.]default|")
