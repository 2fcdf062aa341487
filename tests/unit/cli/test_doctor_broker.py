"""What the doctor says of a RabbitMQ that was reached, by its version."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from tests.unit.settings.builders import CREDENTIALS
from worker.cli.doctor.broker import able
from worker.cli.doctor.check import Health
from worker.settings import Settings, load

if TYPE_CHECKING:
    from worker.amqp.session import Session


class Reached:
    """A session at a broker of that version."""

    address, user = "localhost", "guest"

    def __init__(self, version: str) -> None:
        self.server = {"product": "RabbitMQ", "version": version}


@pytest.mark.parametrize(("version", "told"), [("3.13.7", False), ("4.0.5", True), ("4.3.6", True)])
def test_priorities_are_told_of_where_they_overtake(version: str, *, told: bool) -> None:
    settings = load(CREDENTIALS)
    assert isinstance(settings, Settings)

    checks = {check.name: check for check in able(cast("Session", Reached(version)), settings)}

    assert ("priority" in checks) is told
    assert checks.get("priority") is None or "above 4" in checks["priority"].says


@pytest.mark.parametrize(
    ("version", "says"),
    [
        ("3.10.8", "the others stand by"),
        ("4.0.5", "spread over all replicas"),
        ("4.3.6", "the others stand by"),
    ],
)
def test_it_tells_whether_lanes_spread_over_the_replicas(version: str, says: str) -> None:
    settings = load(CREDENTIALS)
    assert isinstance(settings, Settings)

    checks = {check.name: check for check in able(cast("Session", Reached(version)), settings)}

    assert says in checks["replicas"].says


@pytest.mark.parametrize(
    ("version", "health", "says"),
    [
        ("3.10.8", Health.UNVERIFIED, "the broker's own consumer_timeout counts"),
        ("4.2.3", Health.GOOD, "an hour"),
        ("4.3.6", Health.UNVERIFIED, "the lowest of"),
    ],
)
def test_the_ack_timeout_is_good_only_where_the_lanes_own_is_what_counts(
    version: str, health: Health, says: str
) -> None:
    settings = load(CREDENTIALS | {"TASKEDIT_HOLD": "45m"})
    assert isinstance(settings, Settings)

    checks = {check.name: check for check in able(cast("Session", Reached(version)), settings)}

    assert checks["ack timeout"].health is health
    assert says in checks["ack timeout"].says
    assert "TASKEDIT_HOLD is 45m" in checks["ack timeout"].says
