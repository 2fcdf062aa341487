"""RabbitMQ for a command that asks it one thing after the other, or the command's end."""

from __future__ import annotations

from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import click

from worker.amqp.admin import Inspection, LostError, Unreachable
from worker.cli.exits import ABSENT
from worker.management import Management, ManagementError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.settings import Settings


def reached(settings: Settings) -> Inspection | Unreachable:
    """Connected to the first address that can be reached, or why there is none."""
    return Inspection.opened(
        [url.get_secret_value() for url in settings.amqp_urls],
        version=version("task-edit-worker"),
        heartbeat=settings.heartbeat,
    )


@contextmanager
def inspected(settings: Settings) -> Iterator[Inspection]:
    """The connection; the command ends with 69 where there is none, or it is lost meanwhile."""
    found = reached(settings)
    if isinstance(found, Unreachable):
        raise _absent(found.why)
    try:
        with found:
            yield found
    except (LostError, ManagementError) as error:
        raise _absent(str(error)) from error


def management(settings: Settings, virtual_host: str) -> Management | None:
    """The management API, if the settings name it; without a user of its own, with RabbitMQ's."""
    if settings.management_url is None:
        return None
    parts = urlsplit(settings.amqp_urls[0].get_secret_value())
    user = unquote(parts.username or "guest"), unquote(parts.password or "guest")
    return Management(settings.management_url.get_secret_value(), virtual_host, user=user)


def _absent(why: str) -> click.exceptions.Exit:
    click.echo(f"{why[:1].upper()}{why[1:].rstrip('.')}.", err=True)
    return click.exceptions.Exit(ABSENT)
