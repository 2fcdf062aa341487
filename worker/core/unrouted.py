"""Why a message is a stray: it reached no lane, or the broker took it out of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas import Reason
from worker.core.verdict import Rejected

if TYPE_CHECKING:
    from schemas.names import Names
    from worker.core.message import Delivery


def account_of(delivery: Delivery, names: Names) -> str | None:
    """The account whose lane the broker took this message from; None if it reached no lane."""
    return (_taken(delivery, names) or (None, None))[0]


def why_stray(delivery: Delivery, names: Names) -> Rejected:
    """The verdict on a stray, by the newest entry of RabbitMQ's own `x-death`."""
    account, cause = _taken(delivery, names) or (None, None)
    if account is None:
        key = delivery.routing_key[:100]
        detail = f"no account of this worker has the appId of the routing key {key!r}"
        return Rejected(Reason.UNKNOWN_APP, detail)
    if cause == "expired":
        detail = "its time to live ended while it waited in the lane"
        return Rejected(Reason.EXPIRED, detail)
    detail = f"the broker gave up on it ({cause}): it was returned to the lane too often"
    return Rejected(Reason.POISON, detail)


def _taken(delivery: Delivery, names: Names) -> tuple[str, str] | None:
    """Account and cause, if RabbitMQ itself took the message from a lane.

    It hands such a message to the strays' exchange; one that reached no lane keeps the exchange
    it was published to, and an x-death that came with it is the publisher's word only.
    """
    if delivery.exchange != names.strays:
        return None
    deaths = delivery.properties.headers.tables("x-death")
    for death in deaths[:1]:
        account = names.account_of(death.text("queue") or "")
        if account is not None:
            return account, death.text("reason") or "unknown"
    return None
