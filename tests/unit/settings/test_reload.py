from __future__ import annotations

from dataclasses import fields
from datetime import timedelta

from tests.unit.settings.builders import loaded
from worker.settings import Settings
from worker.settings.model import ADOPTED


def test_every_setting_is_adopted_or_named_as_needing_a_restart() -> None:
    running = loaded()
    fresh = loaded(
        amqp_url="amqp://u:p@other/%2F",
        management_url="http://other:15672",
        heartbeat="7s",
        namespace="other",
        declare="no",
        rate="3/s",
        hold="7m",
        state_dir="/srv/other",
        ops_address="[::]:7",
        replica="other",
        shutdown_grace="7s",
        log_level="debug",
        log_format="json",
    )

    settings, changed, needs_restart = running.adopting(fresh)

    assert set(changed) == {
        "accounts",
        "TASKEDIT_AMQP_URL",
        "TASKEDIT_MANAGEMENT_URL",
        "TASKEDIT_SHUTDOWN_GRACE",
    }
    assert set(needs_restart) == {
        "TASKEDIT_HEARTBEAT",
        "TASKEDIT_NAMESPACE",
        "TASKEDIT_DECLARE",
        "TASKEDIT_HOLD",
        "TASKEDIT_STATE_DIR",
        "TASKEDIT_OPS_ADDRESS",
        "TASKEDIT_REPLICA",
        "TASKEDIT_LOG_LEVEL",
        "TASKEDIT_LOG_FORMAT",
    }
    assert settings.accounts == fresh.accounts
    assert settings.amqp_urls == fresh.amqp_urls
    assert settings.heartbeat == timedelta(seconds=5)
    assert settings.namespace == running.namespace


def test_nothing_is_named_that_is_the_same() -> None:
    assert loaded().adopting(loaded())[1:] == ([], [])


def test_what_can_be_adopted_is_a_setting() -> None:
    assert {each.name for each in fields(Settings)} > ADOPTED
