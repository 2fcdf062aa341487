"""Dead letters and events by the number."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from schemas import Reason
from tests.unit.builders import NOW, delivery, properties
from tests.unit.deadletters.dead import Ended, ended
from tests.unit.schemas.builders import body, edit
from worker.core.verdict import Rejected

if TYPE_CHECKING:
    from worker.core.verdict import Applied

STATUSES = ("-33", "-41", "-52")


def numbered(number: int, verdict: Applied | Rejected | None = None, **changes: object) -> Ended:
    """An edit of job `number` + 1 that ended after so many seconds: by default of three causes."""
    status = STATUSES[number % 3]
    of = delivery(
        body(edit(jobId=number + 1, **changes)), properties=properties(message_id=f"n-{number}")
    )
    refused = Rejected(Reason.API_REJECTED, f"the API answered {status}", status=status)
    return ended(of, verdict or refused, received=NOW + timedelta(seconds=number))
