"""The part of the work that is the same for every peer, whoever makes the call."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from time import time
from typing import Any
from uuid import UUID, uuid5

from schemas import Bounds, Invalid, Names, api_body, encode, event_key, validate
from schemas.names import CLOUDEVENTS_CONTENT_TYPE
from worker.api.auth import signature

_NAMESPACE = UUID("6e6f7c0a-58f5-5a0e-9d3b-5d3c0a3f8f61")
TIMEOUT = (5, 30)
"""Seconds to connect, and for each read: what requests can do."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What the bench tells a peer, by variables of the environment."""

    amqp_url: str
    api_url: str
    names: Names
    queue: str
    concurrency: int
    rate: str
    """Celery's own form, `20/s`; empty for none."""
    key: str
    secret: str


def setting() -> Setting:
    """What the bench has told this process."""
    said = os.environ
    return Setting(
        amqp_url=said["BENCH_AMQP_URL"],
        api_url=f"{said['BENCH_API_URL']}/taskEdit",
        names=Names(said["BENCH_NAMESPACE"]),
        queue=said["BENCH_QUEUE"],
        concurrency=int(said["BENCH_CONCURRENCY"]),
        rate=said["BENCH_RATE"],
        key=said["BENCH_KEY"],
        secret=said["BENCH_SECRET"],
    )


@dataclass(frozen=True, slots=True)
class Event:
    """What is to be published of an edit; persistent."""

    exchange: str
    routing_key: str
    body: bytes
    event_id: str
    content_type: str = CLOUDEVENTS_CONTENT_TYPE
    type: str = "task-edit.applied.v1"


class Work:
    """Validates, signs, and tells what came of it."""

    def __init__(self, by: Setting) -> None:
        self._by = by
        self._bounds = Bounds()
        self._fixed = {
            "Content-Type": "application/json;charset=UTF-8",
            "Accept": "application/json",
            "Api-Key": by.key,
        }

    def body(self, document: dict[str, Any]) -> bytes:
        """The request's body, of an edit that keeps to every rule; ValueError for another."""
        edit = validate(document, self._bounds)
        if isinstance(edit, Invalid):
            raise ValueError(edit.detail)  # noqa: TRY004 (of value, not of type)
        return api_body(edit, self._bounds)

    def headers(self) -> dict[str, str]:
        """The request's headers, signed now."""
        now = str(int(time()))
        sign = signature(self._by.key, self._by.secret, now)
        return {**self._fixed, "Sign": sign, "Timestamp": now}

    def event(
        self, document: dict[str, Any], message_id: str, received_at: datetime, reply: bytes
    ) -> Event:
        """The event of an edit that the API took; ValueError for any other answer."""
        answer = json.loads(reply)
        if answer["status"] != "0":
            raise ValueError(answer["status"])
        names, app = self._by.names, document["appId"]
        event_id = str(uuid5(_NAMESPACE, f"default\x1f{message_id}\x1fapplied"))
        body = encode(
            event_id=event_id,
            outcome="applied",
            message_id=message_id,
            correlation_id=None,
            account="default",
            app_id=app,
            job_id=document["jobId"],
            attempts=1,
            received_at=received_at,
            finished_at=datetime.now(UTC),
            api_status=answer["status"],
            api_reason=answer["reason"],
        )
        return Event(names.events, event_key("applied", app), body, event_id)
