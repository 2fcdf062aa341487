"""`taskedit publish` with options that no message can carry: refused before anything is sent."""

from __future__ import annotations

import pytest

from tests.unit.cli.called import a_line, taskedit

NOBODY = {
    "TASKEDIT_AMQP_URL": "amqp://127.0.0.1:1",
    "TASKEDIT_API_KEY": "key",
    "TASKEDIT_API_SECRET": "secret",
}


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [
        ("--message-id-prefix", "应" * 67, "longer than 200 bytes"),
        ("--account", "a" * 300, "not a valid account name"),
        ("--account", "ACME", "not a valid account name"),
    ],
)
def test_what_no_message_can_carry_is_a_usage_error(option: str, value: str, why: str) -> None:
    result = taskedit("publish", "-", option, value, stdin=a_line(), environ=NOBODY)

    assert result.exit_code == 2
    assert why in " ".join(result.stderr.split())
