"""`taskedit topology`: what RabbitMQ holds against what it should."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import click

from schemas import Names
from worker.amqp.admin import ObjectCheck, ObjectState, declared, refused
from worker.amqp.topology import APPLY, Binding, Exchange, Queue
from worker.cli import removal
from worker.cli.exits import BAD_SETTINGS, DONE, FAILED
from worker.cli.sessions import at_broker, read_settings
from worker.cli.terminal import width
from worker.cli.topology_diff import compared, left_over, management, objects, strangers
from worker.core.unrouted import ownership
from worker.deadletters.render import fitted
from worker.fleet.operations import begun, recorded

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from schemas import OperationRecord
    from worker.amqp.session import Session
    from worker.amqp.topology import Object
    from worker.management import Bound
    from worker.settings import Settings


DEFAULT_EXCHANGE = "amq.default"
"""What permissions call it."""


def definitions(
    items: Sequence[Object], virtual_host: str, permissions: Sequence[dict[str, str]] = ()
) -> dict[str, Any]:
    """The JSON that `rabbitmqctl import_definitions` takes; the virtual host has to exist."""
    return {
        "vhosts": [{"name": virtual_host}],
        "permissions": list(permissions),
        "exchanges": [
            {
                "name": each.name,
                "vhost": virtual_host,
                "type": each.kind,
                "durable": True,
                "auto_delete": False,
                "internal": False,
                "arguments": dict(each.arguments),
            }
            for each in items
            if isinstance(each, Exchange)
        ],
        "queues": [
            {
                "name": each.name,
                "vhost": virtual_host,
                "durable": True,
                "auto_delete": False,
                "arguments": dict(each.arguments),
            }
            for each in items
            if isinstance(each, Queue)
        ],
        "bindings": [
            {
                "source": each.exchange,
                "vhost": virtual_host,
                "destination": each.queue,
                "destination_type": "queue",
                "routing_key": each.key,
                "arguments": {},
            }
            for each in items
            if isinstance(each, Binding) and not each.absent
        ],
    }


@dataclass(frozen=True, slots=True)
class Permission:
    """The names of what a user may configure, write and read."""

    configure: frozenset[str]
    write: frozenset[str]
    read: frozenset[str]

    def patterns(self) -> dict[str, str]:
        """The same as RabbitMQ has it: three regular expressions."""
        return {
            "configure": _any_of(self.configure),
            "write": _any_of(self.write),
            "read": _any_of(self.read),
        }

    def command(self, user: str, virtual_host: str) -> str:
        """The command that grants exactly this."""
        patterns = " ".join(f"'{pattern}'" for pattern in self.patterns().values())
        return f"rabbitmqctl set_permissions -p {virtual_host} {user} {patterns}"


def needed(names: Names, lanes: Iterable[str], *, declare: bool) -> Permission:
    """What a worker's user has to be allowed, and no more.

    `declare`: whether the worker declares the topology, or finds it declared. Source: the table
    of https://www.rabbitmq.com/docs/access-control#authorisation.
    """
    streams = {names.journal, names.control, names.operations}
    queues = {names.strays, names.dead, *streams, *lanes}
    exchanges = {names.exchange, names.strays, names.events, names.dead, names.fleet}
    read = {names.strays, names.journal, names.control, *lanes}
    write = {names.events, names.dead, names.fleet}
    if declare:
        read |= queues | exchanges
        write |= queues | {names.strays}
    else:  # to look whether an object exists takes some permission on it, from 4.2.6 on
        read |= (queues | exchanges) - read - write
    configure = frozenset(queues | exchanges) if declare else frozenset[str]()
    return Permission(configure, frozenset({DEFAULT_EXCHANGE, *write}), frozenset(read))


def _any_of(names: Iterable[str]) -> str:
    """A regular expression for these names; of what they may hold only dots mean more there."""
    return f"^({'|'.join(name.replace('.', '[.]') for name in sorted(names))})$"


COLORS: Final = {
    ObjectState.GOOD: "green",
    ObjectState.MISSING: "red",
    ObjectState.DIFFERS: "red",
    ObjectState.LEFT_OVER: "red",
    ObjectState.UNVERIFIED: "yellow",
}
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
    settings = read_settings(accounts_wanted=True)
    findings = at_broker(settings, lambda session: compared(session, settings))
    _print(findings, as_json=as_json)
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
    settings = read_settings(accounts_wanted=True)
    if sys.stdin.isatty() and not yes:
        address = at_broker(settings, _address)
        click.confirm(f"Declare the topology on {address}?", abort=True, err=True)
    findings = at_broker(settings, lambda session: _apply(session, settings))
    _print(findings, as_json=as_json)
    ctx.exit(FAILED if _is_wrong(findings) else DONE)


@command.command()
@click.option("--why", metavar="TEXT", help="For whoever wonders, next week.")
@_YES
@click.pass_context
def prune(ctx: click.Context, why: str | None, *, yes: bool) -> None:
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
    settings = read_settings(accounts_wanted=True)
    findings = at_broker(settings, lambda session: compared(session, settings))
    lanes = [each for each in findings if each.state is ObjectState.LEFT_OVER]
    if settings.management_url is None:
        _print(lanes, as_json=False)
        click.echo("prune needs TASKEDIT_MANAGEMENT_URL: AMQP shows no bindings.", err=True)
        ctx.exit(BAD_SETTINGS)
    if not lanes:
        click.echo("No lane is left over.", err=True)
        ctx.exit(DONE)
    if any(each.state is ObjectState.MISSING for each in findings):
        click.echo(f"Lanes that would take over are missing or unbound: {APPLY}", err=True)
        ctx.exit(FAILED)
    bindings = at_broker(settings, lambda session: _bindings(session, settings, lanes))
    _print(lanes, as_json=False)
    if not yes:
        click.confirm("Unbind, empty and delete them?", abort=True, err=True)
    begin = begun("prune", what={"accounts": sorted(bindings)}, why=why)
    at_broker(settings, lambda session: _prune(session, bindings, settings, begin))


async def _prune(
    session: Session,
    bindings: dict[str, list[Bound]],
    settings: Settings,
    begin: OperationRecord,
) -> None:
    async with recorded(session, begin) as operation:
        moved: dict[str, int] = {}
        operation.result["moved"] = moved

        def done(queue: str, edits: int) -> None:
            click.echo(f"{queue} is deleted; edits moved: {edits}")
            moved[queue] = edits

        await removal.prune(session, bindings, ownership(settings.accounts), done)


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
    settings = read_settings(accounts_wanted=True)
    names = Names(settings.namespace)
    unowned = at_broker(settings, lambda session: _unowned(session, settings))
    everything = [*objects(settings), *(each.item for each in unowned)]
    queues = [each.name for each in everything if isinstance(each, Queue)]
    exchanges = [each.name for each in everything if isinstance(each, Exchange)]
    exchanges.sort(key=lambda name: name != names.exchange)  # first what edits come by
    records = {names.journal, names.control, names.operations}
    holding = at_broker(settings, lambda session: _holding(session, queues))
    for queue, content in holding.items():
        click.echo(f"{queue}: {content}", err=True)
    if holding.keys() - records and not force:
        click.echo("Nothing is deleted: these are not empty. --force deletes them too.", err=True)
        ctx.exit(FAILED)
    if not yes:
        what = f"{len(queues)} queues and {len(exchanges)} exchanges of {names.namespace}"
        click.confirm(f"Delete {what}, with all that is in them?", abort=True, err=True)
    spared = queues if force else records
    at_broker(
        settings,
        lambda session: removal.delete(session, exchanges, queues, even_with_content=spared),
    )


def _may_go_on(*, yes: bool, to: str) -> None:
    if not yes and not sys.stdin.isatty():
        raise click.UsageError(f"Nobody can be asked here: give --yes to {to}.")


async def _address(session: Session) -> str:
    return session.address


async def _holding(session: Session, queues: Sequence[str]) -> dict[str, str]:
    """What speaks against deleting queues, for those where anything does."""
    found = {queue: await removal.held(session, queue) for queue in queues}
    return {queue: content for queue, content in found.items() if content}


async def _bindings(
    session: Session, settings: Settings, lanes: Sequence[ObjectCheck]
) -> dict[str, list[Bound]]:
    """By what lanes are bound, by the account that each was of."""
    queues = [each.item.name for each in lanes if isinstance(each.item, Queue)]
    async with management(session, settings) as asked:
        if asked is None:
            return {}
        return {
            str(session.names.account_of(queue)): await asyncio.to_thread(asked.bindings, queue)
            for queue in queues
        }


async def _unowned(session: Session, settings: Settings) -> list[ObjectCheck]:
    """The lanes of no account, as far as they can be seen."""
    async with management(session, settings) as asked:
        return await left_over(session, asked, settings)


async def _apply(session: Session, settings: Settings) -> list[ObjectCheck]:
    """Declare what is wanted, and with management also unbind what is not."""
    items = objects(settings)
    async with management(session, settings) as asked:
        if asked is not None:
            items += await asyncio.to_thread(strangers, asked, items, session.names)
    found = []
    for item in items:
        refusal = await declared(session, item)
        good = ObjectCheck(item, ObjectState.GOOD)
        found.append(good if refusal is None else refused(session, item, refusal))
    return found


@command.command()
@click.option("--user", help="With the permissions that a worker's user of this name needs.")
@click.option("--virtual-host", default="/", show_default=True)
def export(user: str | None, virtual_host: str) -> None:
    """Print the topology as definitions for RabbitMQ to import.

    For those who prefer that a worker declares nothing: import them, and set
    TASKEDIT_DECLARE=false. The permissions are then the fewer ones of a worker that only uses
    what is there.
    """
    settings = read_settings(accounts_wanted=True)
    names = Names(settings.namespace)
    lanes = [names.lane(account.name) for account in settings.accounts]
    permissions = []
    if user is not None:
        patterns = needed(names, lanes, declare=settings.declare).patterns()
        permissions = [{"user": user, "vhost": virtual_host, **patterns}]
    found = definitions(objects(settings), virtual_host, permissions)
    click.echo(json.dumps(found, indent=2))


def _is_wrong(findings: Sequence[ObjectCheck]) -> bool:
    return any(
        each.state in {ObjectState.MISSING, ObjectState.DIFFERS, ObjectState.LEFT_OVER}
        for each in findings
    )


def _print(findings: Sequence[ObjectCheck], *, as_json: bool) -> None:
    for each in findings:
        if as_json:
            facts = {"object": each.name, "state": each.state, "detail": each.detail}
            click.echo(json.dumps(facts | {"mend": each.mend}))
            continue
        line = f"{each.state:<10}  {each.name}{each.detail and f': {each.detail}'}"
        text = "\n".join(fitted(line, width(), 12))
        click.echo(text.replace(each.state, click.style(each.state, fg=COLORS[each.state]), 1))
        if each.mend not in {"", APPLY}:
            click.echo(f"{'':<10}  fix: {each.mend}")
    if not as_json and any(each.mend == APPLY for each in findings):
        click.echo(f"Fix what is missing: {APPLY}")
    counts = Counter(each.state for each in findings)
    click.echo(
        ", ".join(f"{counts[state]} {state}" for state in ObjectState if counts[state]), err=True
    )
