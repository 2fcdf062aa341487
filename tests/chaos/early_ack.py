"""The control: the worker with its ack moved before the confirm, which must lose edits.

`python -m tests.chaos.early_ack run` is `taskedit run`, wrong in this one way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.cli import main
from worker.pipeline.settler import Settler

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.core.message import Delivery, Source
    from worker.core.settlement import Settlement
    from worker.pipeline.settler import PendingSettlement


class Acked:
    """A source whose delivery has been acked already."""

    def __init__(self, source: Source) -> None:
        self._source = source

    @property
    def alive(self) -> bool:
        """As of the source."""
        return self._source.alive

    def ack(self, _: int, written: Callable[[], None]) -> None:
        """Acked before."""
        written()

    def give_back(self) -> None:
        """As of the source."""
        self._source.give_back()


def early(proper: Callable[..., None]) -> Callable[..., None]:
    """`Settler.carry_out` that acks first."""

    def carry_out(
        self: Settler,
        settlement: Settlement,
        delivery: Delivery,
        source: Source,
        done: Callable[[PendingSettlement], None],
    ) -> None:
        source.ack(delivery.tag, lambda: None)
        proper(self, settlement, delivery, Acked(source), done)

    return carry_out


if __name__ == "__main__":
    Settler.carry_out = early(Settler.carry_out)  # type: ignore[method-assign]
    main()
