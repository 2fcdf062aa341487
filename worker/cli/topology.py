"""`taskedit topology`: what RabbitMQ holds against what it should."""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import TYPE_CHECKING, Final

import click

from schemas import Names
from worker.amqp.survey import APPLY, Finding, State, refused, survey
from worker.amqp.topology import journal, lane_objects, operators_objects, shared_objects
from worker.cli import configured
from worker.cli.definitions import definitions, needed
from worker.cli.exits import DONE, FAILED
from worker.cli.rabbitmq import inspected, management
from worker.cli.verified import strangers, verified
from worker.core.ownership import keys_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.amqp.inspection import Inspection
    from worker.amqp.topology import Object
    from worker.settings import Settings

COLORS: Final = {
    State.GOOD: "green",
    State.MISSING: "red",
    State.DIFFERS: "red",
    State.UNVERIFIED: "yellow",
}
_JSON: Final = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")


@click.group(name="topology")
def command() -> None:
    """What RabbitMQ holds against what it should: exchanges, queues and bindings."""


@command.command()
@_JSON
@click.pass_context
def show(ctx: click.Context, *, as_json: bool) -> None:
    """Compare each object; nothing is changed.

    AMQP alone cannot show bindings and policies; with TASKEDIT_MANAGEMENT_URL they are compared
    too. Ends with 1 if anything is missing or differs.
    """
    settings = configured.settings(accounts_wanted=True, secrets_wanted=False)
    with inspected(settings) as inspection:
        findings = compared(inspection, settings)
    _tell(findings, as_json=as_json)
    if settings.management_url is None:
        click.echo("With TASKEDIT_MANAGEMENT_URL bindings and policies are compared too.", err=True)
    ctx.exit(FAILED if _is_wrong(findings) else DONE)


@command.command()
@_JSON
@click.option("--yes", is_flag=True, help="Do not ask, on a terminal either.")
@click.pass_context
def apply(ctx: click.Context, *, as_json: bool, yes: bool) -> None:
    """Declare what is missing, as a worker does when it starts.

    What exists with other arguments is told of and left alone: RabbitMQ cannot change them.
    """
    settings = configured.settings(accounts_wanted=True, secrets_wanted=False)
    with inspected(settings) as inspection:
        if sys.stdin.isatty() and not yes:
            click.confirm(f"Declare the topology on {inspection.address}?", abort=True, err=True)
        findings = [_applied(inspection, item) for item in _wanted(inspection, settings)]
    _tell(findings, as_json=as_json)
    ctx.exit(FAILED if _is_wrong(findings) else DONE)


@command.command()
@click.option("--user", help="With the permissions that a worker's user of this name needs.")
@click.option("--virtual-host", default="/", show_default=True)
def export(user: str | None, virtual_host: str) -> None:
    """Print the topology as definitions for RabbitMQ to import.

    For those who prefer that a worker declares nothing: import them, and set
    TASKEDIT_DECLARE=false. The permissions are then the fewer ones of a worker that only uses
    what is there.
    """
    settings = configured.settings(accounts_wanted=True, secrets_wanted=False)
    names = Names(settings.namespace)
    lanes = [names.lane(account.name) for account in settings.accounts]
    permissions = []
    if user is not None:
        patterns = needed(names, lanes, declare=settings.declare).patterns()
        permissions = [{"user": user, "vhost": virtual_host, **patterns}]
    found = definitions(objects(settings), virtual_host, permissions)
    click.echo(json.dumps(found, indent=2))


def objects(settings: Settings) -> list[Object]:
    """Everything that the worker of these settings needs, in the order of declaration."""
    names, accounts = Names(settings.namespace), settings.accounts
    found = [*shared_objects(names), *journal(names), *operators_objects(names)]
    for account in accounts:
        found += lane_objects(names, account.name, keys_of(account))
    return found


def compared(inspection: Inspection, settings: Settings) -> list[Finding]:
    """What RabbitMQ holds against what it should: by AMQP, and by management where it may."""
    items, names = objects(settings), Names(settings.namespace)
    found = survey(inspection, items, compare=settings.declare)
    asked = management(settings, inspection.virtual_host)
    if asked is None:
        return found
    with asked:
        unwanted = survey(inspection, strangers(asked, items, names), compare=False)
        return verified(asked, [*found, *unwanted], names)


def _wanted(inspection: Inspection, settings: Settings) -> list[Object]:
    """What is to be declared, and with management also what is to be unbound."""
    items, names = objects(settings), Names(settings.namespace)
    asked = management(settings, inspection.virtual_host)
    if asked is None:
        return items
    with asked:
        return [*items, *strangers(asked, items, names)]


def _applied(inspection: Inspection, item: Object) -> Finding:
    refusal = inspection.declare(item)
    return Finding(item, State.GOOD) if refusal is None else refused(inspection, item, refusal)


def _is_wrong(findings: Sequence[Finding]) -> bool:
    return any(each.state in {State.MISSING, State.DIFFERS} for each in findings)


def _tell(findings: Sequence[Finding], *, as_json: bool) -> None:
    for each in findings:
        if as_json:
            facts = {"object": each.name, "state": each.state, "detail": each.detail}
            click.echo(json.dumps(facts | {"mend": each.mend}))
            continue
        state = click.style(f"{each.state:<10}", fg=COLORS[each.state])
        click.echo(f"{state}  {each.name}{each.detail and f': {each.detail}'}")
        if each.mend not in {"", APPLY}:
            click.echo(f"{'':<10}  mend it: {each.mend}")
    if not as_json and any(each.mend == APPLY for each in findings):
        click.echo(f"Mend what is missing: {APPLY}")
    counts = Counter(each.state for each in findings)
    click.echo(", ".join(f"{counts[state]} {state}" for state in State if counts[state]), err=True)
