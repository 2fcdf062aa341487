from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from schemas import read_event
from tests.unit.schemas.builders import event
from worker.cli.history import point, row


@pytest.mark.parametrize(("text", "days"), [("today", 0), ("Yesterday", 1)])
def test_a_day_begins_at_midnight_where_the_operator_is(text: str, days: int) -> None:
    found = point(text).astimezone()

    assert (found.hour, found.minute, found.second) == (0, 0, 0)
    ago = datetime.now(UTC) - found
    assert timedelta(days=days) <= ago < timedelta(days=days + 1, hours=2)


def test_a_date_alone_is_its_start() -> None:
    assert point("2026-11-20") == datetime(2026, 11, 20).astimezone()


def test_what_is_no_time_is_told_with_a_good_one() -> None:
    with pytest.raises(ValueError, match="is not a valid time: write one like 15m"):
        point("last week")


def test_a_row_of_a_superseded_edit_names_the_newer_one() -> None:
    told = event(outcome="superseded", superseded_by="m-2", api_status=None, api_reason=None)

    assert row(read_event(told), None).endswith("by m-2")
    assert "by" not in row(read_event(event()), None)
