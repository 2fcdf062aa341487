"""What these tests share: the settings of a namespace of their own, and a lane in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pika
import pytest

from schemas import Names
from tests.unit.cli.called import taskedit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pika.adapters.blocking_connection import BlockingChannel


@pytest.fixture
def environ(amqp_url: str, namespace: str) -> dict[str, str]:
    """The settings of a worker with one account, `default`, whose one appId is APP1."""
    return {
        "TASKEDIT_AMQP_URL": amqp_url,
        "TASKEDIT_NAMESPACE": namespace,
        "TASKEDIT_API_KEY": "key",
        "TASKEDIT_API_SECRET": "a-secret",
        "TASKEDIT_APP_IDS": "APP1",
    }


@pytest.fixture
def names(namespace: str) -> Names:
    return Names(namespace)


@pytest.fixture
def topology(environ: dict[str, str]) -> None:
    """Everything that a worker declares."""
    assert taskedit("topology", "apply", environ=environ).exit_code == 0


@pytest.fixture
def channel(amqp_url: str) -> Iterator[BlockingChannel]:
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
        yield connection.channel()
