"""`taskedit topology`: what RabbitMQ holds against what it should."""

from __future__ import annotations

import json
import sys
from collections import Counter
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

import click

from schemas import Names
from worker.amqp.session import Broker, Failure, FailureKind, run
from worker.amqp.survey import APPLY, Finding, State, refused, survey
from worker.amqp.topology import (
    Exchange,
    Queue,
    journal,
    lane_objects,
    operators_objects,
    shared_objects,
)
from worker.cli import configured, left_over, removal
from worker.cli.definitions import definitions, needed
from worker.cli.exits import ABSENT, AGAIN, BAD_SETTINGS, DONE, FAILED
from worker.cli.rabbitmq import inspected, management
from worker.cli.verified import strangers, verified
from worker.core.ownership import keys_of, ownership

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from worker.amqp.inspection import Inspection
    from worker.amqp.session import Session
    from worker.amqp.topology import Object
    from worker.management import Bound
    from worker.settings import Settings

COLORS: Final = {
    State.GOOD: "green",
    State.MISSING: "red",
    State.DIFFERS: "red",
    State.LEFT_OVER: "red",
    State.UNVERIFIED: "yellow",
}
_EXITS: Final = {FailureKind.ABSENT: ABSENT, FailureKind.BUSY: AGAIN}
_YES: Final = click.option("--yes", is_flag=True, help="Do not ask.")
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
    too, and so is which lanes no account owns any more; without it only those are seen that were
    served from this machine's state folder, or called `default`.

    Ends with 1 if anything is missing, differs or is left over.
    """
    settings = configured.settings(accounts_wanted=True, secrets_wanted=False)
    with inspected(settings) as inspection:
        findings = compared(inspection, settings)
    _tell(findings, as_json=as_json)
    if settings.management_url is None:
        more = "With TASKEDIT_MANAGEMENT_URL bindings, policies and all lanes are compared too."
        click.echo(more, err=True)
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
@_YES
@click.pass_context
def prune(ctx: click.Context, *, yes: bool) -> None:
    """Remove the lanes that no account of the settings owns any more.

    Each is unbound, and deleted once it is empty: its edits are moved in order to the lane of the
    account that their appId belongs to, behind what waits there, and those of nobody to the
    strays, where a worker rejects them. An edit that went to two lanes, for both were bound, is a
    copy: with a message id it is settled once, without one it is called again.

    Lanes that somebody consumes are left alone. Asks first on a terminal; elsewhere it needs
    --yes. Needs TASKEDIT_MANAGEMENT_URL, for AMQP shows no bindings. Ends with 75 if a lane
    takes no more at the moment; run it again then, and after it was killed.
    """
    _may_go_on(yes=yes, to="prune")
    settings = configured.settings(accounts_wanted=True, secrets_wanted=False)
    with inspected(settings) as inspection:
        findings = compared(inspection, settings)
        lanes = [each for each in findings if each.state is State.LEFT_OVER]
        if settings.management_url is None:
            _tell(lanes, as_json=False)
            click.echo("prune needs TASKEDIT_MANAGEMENT_URL: AMQP shows no bindings.", err=True)
            ctx.exit(BAD_SETTINGS)
        if not lanes:
            click.echo("No lane is left over.", err=True)
            ctx.exit(DONE)
        if any(each.state is State.MISSING for each in findings):
            click.echo(f"Lanes that would take over are missing or unbound: {APPLY}", err=True)
            ctx.exit(FAILED)
        bindings = _bindings(inspection, settings, lanes)
    _tell(lanes, as_json=False)
    if not yes:
        click.confirm("Unbind, empty and delete them?", abort=True, err=True)

    def done(queue: str, edits: int) -> None:
        click.echo(f"{queue} is deleted; edits moved: {edits}")

    owned = ownership(settings.accounts)
    ctx.exit(_ended(settings, lambda session: removal.pruned(session, bindings, owned, done)))


@command.command()
@_YES
@click.option("--force", is_flag=True, help="Even with edits, letters or consumers in it.")
@click.pass_context
def delete(ctx: click.Context, *, yes: bool, force: bool) -> None:
    """Remove everything that workers have declared: to uninstall.

    What waits to be done is not thrown away without --force: edits in lanes and strays, dead
    letters; nor is what somebody consumes, such as a worker. Then nothing is deleted at all.
    Records (the journal, pauses, operations) go without it. Users, policies and queues of
    others are left alone.

    Asks first on a terminal; elsewhere it needs --yes.
    """
    _may_go_on(yes=yes, to="delete")
    settings = configured.settings(accounts_wanted=True, secrets_wanted=False)
    names = Names(settings.namespace)
    with inspected(settings) as inspection:
        everything = [*objects(settings), *(each.item for each in _unowned(inspection, settings))]
    queues = [each.name for each in everything if isinstance(each, Queue)]
    exchanges = [each.name for each in everything if isinstance(each, Exchange)]
    exchanges.sort(key=lambda name: name != names.exchange)  # first what edits come by
    records = {names.journal, names.control, names.operations}
    holding: dict[str, str] = {}

    async def look(session: Session) -> None:
        for queue in queues:
            if content := await removal.held(session, queue):
                holding[queue] = content

    if code := _ended(settings, look):
        ctx.exit(code)
    for queue, content in holding.items():
        click.echo(f"{queue}: {content}", err=True)
    if holding.keys() - records and not force:
        click.echo("Nothing is deleted: these are not empty. --force deletes them too.", err=True)
        ctx.exit(FAILED)
    if not yes:
        what = f"{len(queues)} queues and {len(exchanges)} exchanges of {names.namespace}"
        click.confirm(f"Delete {what}, with all that is in them?", abort=True, err=True)
    spared = queues if force else records
    ctx.exit(
        _ended(
            settings,
            lambda session: removal.deleted(session, exchanges, queues, even_with_content=spared),
        )
    )


def _may_go_on(*, yes: bool, to: str) -> None:
    if not yes and not sys.stdin.isatty():
        raise click.UsageError(f"Nobody can be asked here: give --yes to {to}.")


def _bindings(
    inspection: Inspection, settings: Settings, lanes: Sequence[Finding]
) -> dict[str, list[Bound]]:
    """By what lanes are bound, by the account that each was of."""
    names = Names(settings.namespace)
    asked = management(settings, inspection.virtual_host)
    if asked is None:
        return {}
    queues = [each.item.name for each in lanes if isinstance(each.item, Queue)]
    with asked:
        return {str(names.account_of(queue)): asked.bindings(queue) for queue in queues}


def _unowned(inspection: Inspection, settings: Settings) -> list[Finding]:
    """The lanes of no account, as far as they can be seen."""
    asked = management(settings, inspection.virtual_host)
    if asked is None:
        return list(left_over.found(inspection, None, settings))
    with asked:
        return list(left_over.found(inspection, asked, settings))


def _ended(settings: Settings, work: Callable[[Session], Awaitable[None]]) -> int:
    """Do it in a session of its own; the exit code."""
    ended = run(Broker.of(settings, version("task-edit-worker")), work)
    if isinstance(ended, Failure):
        click.echo(f"{ended.why[:1].upper()}{ended.why[1:].rstrip('.')}.", err=True)
        return _EXITS.get(ended.kind, FAILED)
    return DONE


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
        return [*found, *left_over.found(inspection, None, settings)]
    with asked:
        unwanted = survey(inspection, strangers(asked, items, names), compare=False)
        known = verified(asked, [*found, *unwanted], names)
        return [*known, *left_over.found(inspection, asked, settings)]


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
    return any(each.state in {State.MISSING, State.DIFFERS, State.LEFT_OVER} for each in findings)


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
