"""The control: the worker with its ack moved before the confirm, which must lose edits.

`python -m tests.chaos.early_ack run` is `taskedit run`, wrong in this one way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker import app as worker
from worker.cli import main
from worker.pipeline.settler import Settler

if TYPE_CHECKING:
    from worker.core.message import Delivery, Source
    from worker.core.settlement import Settlement


class Acked:
    """A source whose delivery has been acked already."""

    def __init__(self, source: Source) -> None:
        self._source = source

    @property
    def alive(self) -> bool:
        """As of the source."""
        return self._source.alive

    async def ack(self, _: int) -> None:
        """Acked before."""

    def give_back(self) -> None:
        """As of the source."""
        self._source.give_back()


class EarlySettler(Settler):
    """A settler that acks first."""

    async def carry_out(self, settlement: Settlement, delivery: Delivery, source: Source) -> bool:
        """As `Settler.carry_out`, wrong."""
        await source.ack(delivery.tag)
        return await super().carry_out(settlement, delivery, Acked(source))


if __name__ == "__main__":
    worker.Settler = EarlySettler  # type: ignore[attr-defined]
    main()
