"""Drafts made ready to be published: where each goes, and under which message id."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from schemas.names import JSON_CONTENT_TYPE
from worker.core.message import PERSISTENT, Properties, Publication

if TYPE_CHECKING:
    from collections.abc import Iterable

    from schemas import Bounds, Names, TaskEdit
    from worker.cli.drafts import Draft


@dataclass(frozen=True, slots=True)
class Addressed:
    """A draft, the edit in it, and the message that carries it."""

    draft: Draft
    edit: TaskEdit
    message_id: str
    publication: Publication


@dataclass(frozen=True, slots=True)
class Address:
    """Where edits go: to the exchange by their appId, or straight to an account's lane."""

    names: Names
    bounds: Bounds
    account: str | None = None
    prefix: str | None = None
    """What message ids begin with, before a running number; without it they are random."""

    def addressed(self, good: Iterable[tuple[Draft, TaskEdit]]) -> list[Addressed]:
        """Each draft with its message. The body is the draft's, byte for byte."""
        return [self._one(*each, number) for number, each in enumerate(good, start=1)]

    def _one(self, draft: Draft, edit: TaskEdit, number: int) -> Addressed:
        message_id = str(uuid4()) if self.prefix is None else f"{self.prefix}{number}"
        properties = Properties(
            content_type=JSON_CONTENT_TYPE,
            delivery_mode=PERSISTENT,
            message_id=message_id,
            timestamp=int(time.time()),
        )
        exchange, key = self.names.exchange, edit.appId or self.bounds.sole_app_id or ""
        if self.account is not None:
            exchange, key = "", self.names.lane(self.account)
        return Addressed(
            draft, edit, message_id, Publication(exchange, key, draft.body, properties)
        )
