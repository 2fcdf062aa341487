"""What the pages ask of the half that knows: `worker.console.data`, or a fake in tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from worker.console.model import (
        Account,
        CheckRow,
        EventFilter,
        EventPage,
        Group,
        GroupedBy,
        JobTimeline,
        LetterDetail,
        LetterFilter,
        LetterPage,
        MendCheck,
        OperationPage,
        OperationRow,
        Part,
        Picture,
        Plan,
        PlanAction,
        RunOptions,
        SearchResult,
    )


class Source(Protocol):
    """Everything that is known, and everything that can be done.

    What needs RabbitMQ raises `UnavailableError` while it is away; what cannot be done raises
    `RefusedError`. `by` is the name of whoever asks.
    """

    def picture(self) -> Picture:
        """Everything that the first page shows."""
        ...

    def changes(self) -> AsyncIterator[frozenset[Part]]:
        """What has changed, each time that something has; without end."""
        ...

    def watched(self) -> AbstractContextManager[None]:
        """Somebody looks, as long as this lasts."""
        ...

    async def account(self, name: str) -> Account | None:
        """An account that anybody speaks of."""
        ...

    async def groups(self, by: GroupedBy, filter_: LetterFilter) -> Sequence[Group]:
        """The dead letters of a filter by what they have in common, the largest group first."""
        ...

    async def letters(self, filter_: LetterFilter, cursor: str | None, limit: int) -> LetterPage:
        """Some of the dead letters of a filter."""
        ...

    async def letter(self, key: str) -> LetterDetail | None:
        """One dead letter; None when there is none of that key."""
        ...

    async def check_mend(self, key: str, text: str) -> MendCheck:
        """What the worker would say if the letter had this body."""
        ...

    async def plan(
        self,
        action: PlanAction,
        *,
        by: str,
        filter_: LetterFilter | None = None,
        keys: Sequence[str] = (),
        mended: Mapping[str, str] | None = None,
        even_if_superseded: bool = False,
    ) -> Plan:
        """A plan for the letters of a filter, or of some keys; `mended` has bodies by key."""
        ...

    async def plan_of(self, id_: str) -> Plan | None:
        """A plan that was made here and is not forgotten yet."""
        ...

    async def run(self, plan_id: str, options: RunOptions, *, by: str) -> OperationRow:
        """Begin to carry a plan out; of one that was run already, its operation."""
        ...

    async def go_on(self, operation_id: str, *, by: str) -> Plan:
        """A plan for what an interrupted operation left."""
        ...

    async def stop(self, operation_id: str, *, by: str) -> OperationRow:
        """Send no further letter."""
        ...

    async def operation(self, id_: str) -> OperationRow | None:
        """One operation, of any time that is recorded."""
        ...

    async def operations(self, cursor: str | None, limit: int) -> OperationPage:
        """Some operations, the newest first."""
        ...

    async def job(self, job_id: int) -> JobTimeline:
        """What is known of a job."""
        ...

    async def events(self, filter_: EventFilter, cursor: str | None, limit: int) -> EventPage:
        """Some events, the newest first."""
        ...

    async def search(self, text: str) -> SearchResult:
        """What a text may mean."""
        ...

    async def pause(
        self, account: str, *, by: str, why: str, until: datetime | None
    ) -> Sequence[str]:
        """Stop calls for an account in the whole fleet; the replicas that have taken it."""
        ...

    async def resume(self, account: str, *, by: str, why: str | None) -> Sequence[str]:
        """Let an account go on; the replicas that have taken it."""
        ...

    async def check(self) -> Sequence[CheckRow]:
        """RabbitMQ and the topology, looked at now."""
        ...
