"""RabbitMQ: whether it is there, and whether it can do what the worker needs."""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from worker.amqp.admin import Inspection, Unreachable
from worker.cli.doctor.check import Check, Health
from worker.cli.exits import ABSENT
from worker.settings import texts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.settings import Settings

NAME = "broker"
PRIORITIES_OVERTAKE: Final = (4, 0)
"""The first whose quorum queues deliver by priority."""
OLDEST: Final = (3, 10)
"""The first with at-least-once dead-lettering, and with time to live in quorum queues."""
QUEUES_OWN_TIMEOUT: Final = (3, 12)
"""The first that honours x-consumer-timeout; below, the broker's own setting counts."""


def connected(settings: Settings) -> tuple[Inspection | None, list[Check]]:
    """A connection to the first address that can be reached, and what is to be said of each."""
    first: Inspection | None = None
    away = []
    for url in settings.amqp_urls:
        found = Inspection.opened(
            [url.get_secret_value()],
            version=version("task-edit-worker"),
            heartbeat=settings.heartbeat,
        )
        if isinstance(found, Unreachable):
            away.append((url.get_secret_value(), found.why))
        elif first is None:
            first = found
        else:
            with found:
                pass
    health = Health.BAD if first is None else Health.NOTE
    return first, [Check(NAME, health, why, _mend(url, why), ABSENT) for url, why in away]


def able(inspection: Inspection, settings: Settings) -> Iterator[Check]:
    """Whether the one that was reached can do what the worker needs."""
    server = inspection.server
    product, stated = str(server.get("product", "")), str(server.get("version", ""))
    says = f"{product} {stated} at {inspection.address}, user {inspection.user}"
    number = tuple(int(part) for part in re.findall(r"\d+", stated)[:2])
    if product != "RabbitMQ":
        yield Check(NAME, Health.NOTE, f"{says}: the worker is only known to work on RabbitMQ")
    elif number < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        says += f" is too old: at-least-once dead-lettering needs {wanted}"
        yield Check(NAME, Health.BAD, says, f"upgrade RabbitMQ to {wanted} or later")
    else:
        yield Check(NAME, Health.GOOD, says)
        yield Check("broker features", Health.GOOD, "quorum queues, streams, at-least-once")
        yield _timeout(number, settings)
        if number >= PRIORITIES_OVERTAKE:
            says = (
                "from RabbitMQ 4.0 on an edit published with a priority above 4 overtakes others"
                " of its lane, of its own job too; whether one is, cannot be seen from here"
            )
            yield Check("priority", Health.NOTE, says)


def _timeout(number: tuple[int, ...], settings: Settings) -> Check:
    """How long RabbitMQ waits for an ack, which has to be longer than a delivery is held."""
    hold = texts.shown(settings.hold)
    if number >= QUEUES_OWN_TIMEOUT:
        says = f"an hour, by each lane's x-consumer-timeout; TASKEDIT_HOLD is {hold}"
        return Check("ack timeout", Health.GOOD, says)
    says = (
        f"before 3.12 the broker's own consumer_timeout counts, and AMQP cannot show it: by"
        f" default 30m, TASKEDIT_HOLD is {hold}"
    )
    return Check(
        "ack timeout", Health.UNVERIFIED, says, "rabbitmqctl environment | grep consumer_timeout"
    )


def _mend(url: str, why: str) -> str:
    """What to do about an address that cannot be reached, by what it said."""
    parts = urlsplit(url)
    user, host = unquote(parts.username or "guest"), unquote(parts.path[1:]) or "/"
    if "Login was refused" in why or "ACCESS_REFUSED" in why:
        return f"rabbitmqctl authenticate_user {user}, and correct TASKEDIT_AMQP_URL"
    if "vhost" in why and "not found" in why:
        return f"rabbitmqctl add_vhost {host}"
    if "NOT_ALLOWED" in why:
        return f"rabbitmqctl set_permissions -p {host} {user} …, see: taskedit topology export"
    return f"rabbitmqctl status on {parts.hostname}; correct TASKEDIT_AMQP_URL if it is elsewhere"
