"""Values of the core that are good unless a test says otherwise."""
# ruff: noqa: ANN401  (`changes` are the fields of a dataclass, of any type; replace checks them)

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import SecretStr

from schemas import Bounds, Names
from tests.unit.schemas.builders import body, edit
from worker.account import Account, Endpoint
from worker.core.decode import Edit, MessageInfo, decode
from worker.core.headers import Headers
from worker.core.job_queue import HeldEdit
from worker.core.message import Delivery, Properties, Publication
from worker.core.rate_limit import rates
from worker.core.settlement import Origin

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
NAMES = Names()
SIGNED = Origin(NAMES, "1.2.3")


def properties(**changes: Any) -> Properties:
    return replace(Properties(message_id="m-1", content_type="application/json"), **changes)


def delivery(content: bytes | None = None, /, **changes: Any) -> Delivery:
    """An edit as it comes from the exchange; `content` is its body."""
    good = Delivery(
        tag=1,
        exchange="task-edit",
        routing_key="LILIN888",
        redelivered=False,
        properties=properties(),
        body=body(edit()) if content is None else content,
        received_at=NOW,
    )
    return replace(good, **changes)


def headers(**texts: str) -> Headers:
    """Headers of text; an underscore in a name stands for a dash."""
    return Headers.of({name.replace("_", "-"): text for name, text in texts.items()})


def read(message: Delivery, account: str = "acme") -> Edit:
    """The edit in a delivery that is known to hold one."""
    found = decode(message, account, Bounds())
    assert isinstance(found, Edit)
    return found


def head(**changes: Any) -> MessageInfo:
    return replace(read(delivery()).head, **changes)


def account(name: str = "acme", rate: str = "100/s", **changes: Any) -> Account:
    endpoint = Endpoint("https://api.example", call_timeout=timedelta(seconds=30))
    good = Account(name, "key", SecretStr("secret"), endpoint, rates=rates(rate))
    return replace(good, **changes)


def event(event_id: str = "e-1", content: bytes = b"{}", **changes: Any) -> Publication:
    """An event as the journal has it."""
    return Publication(
        NAMES.events,
        "applied.LILIN888",
        content,
        replace(Properties(message_id=event_id), **changes),
    )


def waiting(job: int = 1, number: int = 1, **changes: Any) -> HeldEdit:
    """An edit of a job, held by a lane."""
    message = delivery(body(edit(jobId=job)), properties=properties(message_id=f"m-{number}"))
    return HeldEdit(message, NoSource(), read(message), number, held_since=0.0, **changes)


class NoSource:
    """Where a delivery comes from when the test does not care."""

    def __init__(self, *, alive: bool = True) -> None:
        self.alive = alive

    async def ack(self, tag: int) -> None: ...

    def give_back(self) -> None: ...
