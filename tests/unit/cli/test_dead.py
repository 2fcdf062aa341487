from __future__ import annotations

import pytest

from tests.unit.cli.called import taskedit

NOBODY = {"TASKEDIT_AMQP_URL": "amqp://127.0.0.1:1/%2F"}
"""RabbitMQ is not there: what gets as far as asking for it ends with 69."""


@pytest.mark.parametrize("arguments", [(), ("--canary", "5"), ("--rate", "1/s")])
def test_a_redrive_of_everything_has_to_be_said(arguments: tuple[str, ...]) -> None:
    result = taskedit("dead", "redrive", *arguments, environ=NOBODY)

    assert result.exit_code == 2
    assert "give --all" in result.output


@pytest.mark.parametrize(
    "arguments",
    [("--all",), ("--yes",), ("--dry-run",), ("some-id",), ("--reason", "invalid"), ("--max", "3")],
)
def test_a_redrive_that_is_said_goes_on(arguments: tuple[str, ...]) -> None:
    assert taskedit("dead", "redrive", *arguments, environ=NOBODY).exit_code == 69
