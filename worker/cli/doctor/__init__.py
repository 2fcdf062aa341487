"""`taskedit doctor`: what is good, what is not, and the command that mends it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Final

import click

from worker.cli.doctor import accounts, api, broker, local
from worker.cli.doctor.check import Check, Health
from worker.cli.exits import ABSENT, BAD_SETTINGS, DONE
from worker.cli.lanes import fleet_lanes
from worker.cli.terminal import width
from worker.deadletters.render import fitted
from worker.observability import log
from worker.settings import Settings, environment, load

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

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

    Each check is good, bad, or unverified and why. Nothing is changed, no edit and no event is
    published, no dead letter is taken. taskEdit is asked with an empty request, which is no edit.
    Ends with 0 when nothing is bad, 69 when RabbitMQ or the API is absent, 78 for bad settings, 1
    for anything else.
    """
    bad = asyncio.run(_examined(as_json=as_json))
    ctx.exit(_exit(bad))


async def _examined(*, as_json: bool) -> list[int]:
    """Tell each check as soon as it is made; the exit codes of the bad ones."""
    bad = []
    async for check in _checks():
        _print(check, as_json=as_json)
        bad += [check.exit] if check.health is Health.BAD else []
    return bad


async def _checks() -> AsyncIterator[Check]:
    """Everything that is looked at, as it is looked at."""
    settings = load(environment())
    if not isinstance(settings, Settings):
        for check in local.refused(settings):
            yield check
        return
    log.configure("error", settings.log_format, no_color=settings.no_color)
    for check in local.accepted(settings):
        yield check
    ops, told = local.listening(settings)
    yield ops
    lanes = told or {}
    async with broker.reached(settings) as (session, away):
        for check in away:
            yield check
        if session is not None:
            async for check in broker.examined(session, settings):
                yield check
            lanes |= await fleet_lanes(session)
    for check in api.reachable(settings):
        yield check
    for each in settings.accounts:
        yield accounts.account(each, lanes.get(each.name))


def _print(check: Check, *, as_json: bool) -> None:
    if as_json:
        facts = {"check": check.name, "health": check.health, "says": check.says}
        click.echo(json.dumps(facts | {"mend": check.mend}, ensure_ascii=False))
        return
    word = "see" if check.health is Health.UNVERIFIED else "fix"
    rows = [(str(check.health), f"{check.name}: {check.says}")]
    rows += [("", f"{word}: {check.mend}")] if check.mend else []
    for state, text in rows:
        lines = fitted(f"{state:<10}  {text}", width(), 12)
        click.echo("\n".join(lines).replace(state, click.style(state, fg=COLORS[check.health]), 1))


def _exit(bad: Iterable[int]) -> int:
    """The exit code of the worst: settings come first, then what is absent."""
    exits = set(bad)
    for code in (BAD_SETTINGS, ABSENT):
        if code in exits:
            return code
    return max(exits, default=DONE)
