"""What the process may have of threads, and how accounts share it."""

from __future__ import annotations

import pytest

from worker.pipeline.threads import shares


@pytest.mark.parametrize(
    ("room", "wanted", "given"),
    [
        (None, {"a": 16, "b": 16}, {"a": 16, "b": 16}),
        (1000, {"a": 16, "b": 200}, {"a": 16, "b": 200}),
        (100, {"a": 16, "b": 200}, {"a": 16, "b": 84}),
        (10, {"a": 16, "b": 16, "c": 2}, {"a": 4, "b": 4, "c": 2}),
        (1, {"a": 16, "b": 16}, {"a": 1, "b": 1}),
    ],
)
def test_accounts_share_the_threads_that_can_be_had(
    room: int | None, wanted: dict[str, int], given: dict[str, int]
) -> None:
    assert shares(room, wanted) == given


def test_80_accounts_within_a_limit_of_1024_get_12_threads_each() -> None:
    given = shares(1000, {f"account-{number}": 16 for number in range(80)})

    assert set(given.values()) == {12, 13}
    assert sum(given.values()) == 1000
