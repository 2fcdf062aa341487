from __future__ import annotations

import pytest

from schemas import Names, app_key, event_key


def test_every_object_hangs_below_the_namespace() -> None:
    names = Names()

    assert (names.exchange, names.strays, names.events, names.journal, names.dead) == (
        "task-edit",
        "task-edit.strays",
        "task-edit.events",
        "task-edit.journal",
        "task-edit.dead",
    )
    assert names.dead_lock == "task-edit.dead.lock"
    assert names.lane("acme") == "task-edit.lane.acme"
    assert Names("staging").lane("acme") == "staging.lane.acme"


@pytest.mark.parametrize(
    ("queue", "account"),
    [
        ("task-edit.lane.acme", "acme"),
        ("task-edit.lane.a-1", "a-1"),
        ("task-edit.lane.lane.x", None),
        ("task-edit.lane.", None),
        ("task-edit.lane.Acme", None),
        ("task-edit.lane." + "a" * 41, None),
        ("task-edit.lane.acme\n", None),
        ("task-edit.strays", None),
        ("staging.lane.acme", None),
        ("acme", None),
    ],
)
def test_a_lane_tells_its_account(queue: str, account: str | None) -> None:
    assert Names().account_of(queue) == account


@pytest.mark.parametrize(
    ("app_id", "key"),
    [
        ("LILIN888", "LILIN888"),
        ("a_b-C", "a_b-C"),
        ("a" * 100, "a" * 100),
        ("a" * 101, "_"),
        ("a.b", "_"),
        ("#", "_"),
        ("应用", "_"),
        ("a\n", "_"),
        ("", "_"),
        (None, "_"),
    ],
)
def test_an_app_id_that_is_no_word_of_a_routing_key_is_a_line(app_id: str | None, key: str) -> None:
    assert app_key(app_id) == key
    assert event_key("rejected", app_id) == f"rejected.{key}"
