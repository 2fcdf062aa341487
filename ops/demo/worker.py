"""The two accounts of the demo, and the worker that has them."""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ops.demo.messages import CARE, NOTIFY, SALES
from ops.rabbitmq.ports import free_port
from ops.sandbox import worker as workers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ops.sandbox.worker import Worker


@dataclass(frozen=True, slots=True)
class Client:
    """One of the two accounts, as the provider and the worker have it."""

    name: str
    key: str
    secret: str
    app_ids: tuple[str, ...]
    calls_a_second: int
    """The worker's limit: a little below the provider's, as an operator would set it."""
    allowed: int
    """The provider's limit, for any second."""


ACME: Final = Client("acme", "acme-key", "acme-s3cret-fGh7", (SALES, CARE), 40, 44)
GLOBEX: Final = Client("globex", "globex-key", "globex-s3cret-kLm2", (NOTIFY,), 20, 22)
CLIENTS: Final = (ACME, GLOBEX)
ATTEMPTS: Final = 3


@contextmanager
def running(amqp_url: str, namespace: str, api_url: str, log: Path) -> Iterator[Worker]:
    """A worker that is ready and writes its log to `log`; ended with the block."""
    accounts = log.parent / "accounts.toml"
    accounts.write_text("".join(map(_table, CLIENTS)), encoding="utf-8")
    settings = {
        "TASKEDIT_AMQP_URL": amqp_url,
        "TASKEDIT_NAMESPACE": namespace,
        "TASKEDIT_API_URL": api_url,
        "TASKEDIT_ACCOUNTS_FILE": str(accounts),
        "TASKEDIT_ATTEMPTS": str(ATTEMPTS),
        "TASKEDIT_LOG_FORMAT": "json",
    }
    with log.open("wb") as output, ExitStack() as stack:
        try:
            started = workers.running(settings, free_port(), log.parent, output)
            worker = stack.enter_context(started)
        except workers.TroubleError as trouble:
            said = log.read_text(encoding="utf-8")
            raise workers.TroubleError(f"{trouble}. Its log:\n{said}") from trouble
        yield worker


def _table(client: Client) -> str:
    return (
        f"[accounts.{client.name}]\n"
        f'api_key = "{client.key}"\n'
        f'api_secret = "{client.secret}"\n'
        f"app_ids = {json.dumps(client.app_ids)}\n"
        f'rate = "{client.calls_a_second}/s"\n\n'
    )
