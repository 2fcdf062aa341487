"""Which of a job's waiting edits to call first, so that what a newer one repeats is not called.

An edit may be passed over when a newer one of its job states all the fields that it states: once
the newer one has been applied, nothing of the older one would be left. An edit of a job reaches the
API only when all that are older have been called, passed over or rejected, so what comes back after
a crash is still the job's latest edits.

A newer edit that the API rejects changes nothing. The older ones are called after all, and it ends
as rejected when its turn comes. It is not called again for that: they state nothing that it does
not state itself, so the API would be asked to make the same of the job.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic_core import from_json

from worker.core.identity import redrives

if TYPE_CHECKING:
    from collections.abc import Iterable

    from worker.core.decode import Edit
    from worker.core.job_queue import HeldEdit
    from worker.core.message import Delivery


def stated_fields(edit: Edit, delivery: Delivery) -> frozenset[str] | None:
    """The names of the fields that an edit states; None when it takes no part in coalescing.

    What was rejected and sent again takes none: it may be older than what is before it, and whoever
    sent it waits for the API's answer.
    """
    return None if redrives(delivery) else frozenset(from_json(edit.request))


def newest_covering(line: Iterable[HeldEdit]) -> HeldEdit:
    """The edit of a job to call first: the newest that states all that those before it state.

    `line`: the job's edits, oldest first; at least one, and that one is to be called. Without
    anything to pass over it is the oldest.
    """
    edits = iter(line)
    chosen = oldest = next(edits)
    stated = oldest.fields
    if stated is None or oldest.alone:
        return oldest
    for held in edits:
        if held.never_called:
            continue  # it changes nothing, so it need not be covered
        if held.fields is None or held.alone or held.to != oldest.to:
            break
        if held.edit.head.app_id != oldest.edit.head.app_id:
            break  # perhaps another job of the same number
        if held.fields >= stated:
            chosen = held
        stated |= held.fields
    return chosen
