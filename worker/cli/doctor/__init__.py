"""`taskedit doctor`: what is good, what is not, and the command that mends it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import click

from worker.amqp.admin import LostError
from worker.cli.doctor import api, broker, dead_letters, management, serving, topology
from worker.cli.doctor import settings as own_settings
from worker.cli.doctor.check import Check, Health
from worker.cli.exits import ABSENT, BAD_SETTINGS, DONE
from worker.cli.topology import compared
from worker.management import ManagementError
from worker.settings import Settings, environment, load

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from worker.amqp.admin import Inspection

COLORS: Final = {
    Health.GOOD: "green",
    Health.NOTE: "yellow",
    Health.UNVERIFIED: "yellow",
    Health.BAD: "red",
}


@click.command(name="doctor")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for each check.")
@click.pass_context
def command(ctx: click.Context, *, as_json: bool) -> None:
    """Look whether the worker can run: settings, RabbitMQ, permissions, the API, the clock.

    Nothing is changed, and taskEdit is not called. Ends with 0 when the worker could run, 69
    when RabbitMQ or the API is absent, 78 for bad settings, 1 for anything else.
    """
    bad = []
    for check in _checks():
        _tell(check, as_json=as_json)
        bad += [check.exit] if check.health is Health.BAD else []
    ctx.exit(_exit(bad))


def _checks() -> Iterator[Check]:
    """Everything that is looked at, as it is looked at."""
    settings = load(environment())
    if not isinstance(settings, Settings):
        yield from own_settings.refused(settings)
        return
    yield from own_settings.accepted(settings)
    inspection, away = broker.connected(settings)
    yield from away
    if inspection is not None:
        with inspection:
            yield from _within(inspection, settings)
    yield from api.reachable(settings)
    yield from serving.seen(settings)


def _within(inspection: Inspection, settings: Settings) -> Iterator[Check]:
    """What RabbitMQ is asked."""
    try:
        yield from broker.able(inspection, settings)
        if away := management.away(inspection, settings):
            yield away
            settings = replace(settings, management_url=None)
        findings = compared(inspection, settings)
        yield from topology.laid(findings, settings)
        yield from topology.allowed(inspection, settings, findings)
        yield dead_letters.proved(inspection, settings, findings)
    except LostError as error:
        yield Check(broker.NAME, Health.BAD, str(error), "rabbitmqctl status", ABSENT)
    except ManagementError as error:
        yield Check(management.NAME, Health.NOTE, str(error))


def _tell(check: Check, *, as_json: bool) -> None:
    if as_json:
        facts = {"check": check.name, "health": check.health, "says": check.says}
        click.echo(json.dumps(facts | {"mend": check.mend}, ensure_ascii=False))
        return
    health = click.style(f"{check.health:<10}", fg=COLORS[check.health])
    click.echo(f"{health}  {check.name}: {check.says}")
    if check.mend:
        word = "see" if check.health is Health.UNVERIFIED else "fix"
        click.echo(f"{'':<10}  {word}: {check.mend}")


def _exit(bad: Iterable[int]) -> int:
    """The exit code of the worst: settings come first, then what is absent."""
    exits = set(bad)
    for code in (BAD_SETTINGS, ABSENT):
        if code in exits:
            return code
    return max(exits, default=DONE)
