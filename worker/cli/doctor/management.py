"""The management API, which shows what AMQP cannot; the worker does without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from schemas import Names
from worker.cli.doctor.check import Check, Health
from worker.cli.rabbitmq import management
from worker.management import ManagementError

if TYPE_CHECKING:
    from worker.amqp.admin import Inspection
    from worker.settings import Settings

NAME: Final = "management"


def away(inspection: Inspection, settings: Settings) -> Check | None:
    """Why it cannot be asked, if it was set and cannot."""
    asked = management(settings, inspection.virtual_host)
    if asked is None:
        return None
    with asked:
        try:
            asked.exchange(Names(settings.namespace).exchange)
        except ManagementError as error:
            mend = f"rabbitmqctl set_user_tags {asked.user} monitoring, or correct"
            return Check(NAME, Health.NOTE, str(error), f"{mend} TASKEDIT_MANAGEMENT_URL")
    return None
