"""What the management API shows of an object, held against what it should be.

The topology as a definitions file for RabbitMQ to import.

`taskedit topology`: what RabbitMQ holds against what it should.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import click

from schemas import Names
from worker.amqp.admin import APPLY, ObjectCheck, ObjectState, check, refused, replaced
from worker.amqp.session import Broker, Failure, FailureKind, run
from worker.amqp.topology import (
    Binding,
    Exchange,
    Queue,
    journal,
    lane_objects,
    operators_objects,
    shared_objects,
)
from worker.cli import left_over, removal, sessions
from worker.cli.exits import ABSENT, AGAIN, BAD_SETTINGS, DONE, FAILED
from worker.cli.rabbitmq import inspected, management
from worker.core.unrouted import keys_of, ownership

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence

    from worker.amqp.admin import Inspection
    from worker.amqp.session import Session
    from worker.amqp.topology import Object
    from worker.management import Bound, Held, Management
    from worker.settings import Settings


_NEVER: Final = frozenset(("expires", "delivery-limit"))
"""A policy that deletes a queue nobody uses, or gives up on edits sooner, loses edits."""
_LENGTHS: Final = frozenset(("max-length", "max-length-bytes"))


def verified(
    management: Management, findings: Iterable[ObjectCheck], names: Names
) -> list[ObjectCheck]:
    """The findings as the management API knows them better; what is missing stays so.

    Raises `worker.management.ManagementError`.
    """
    virtual_host = management.virtual_host
    known = []
    for finding in findings:
        match finding.item:
            case _ if finding.state is ObjectState.MISSING:
                known.append(finding)
            case Binding(exchange, queue, key) as item:
                known.append(_bound(item, key in management.keys(exchange, queue)))
            case Exchange(name) as item:
                known.append(_compared(item, management.exchange(name), (), virtual_host))
            case Queue(name) as item:
                held = management.queue(name)
                hazards = () if held is None else _hazards(name, held.definition, names)
                known.append(_compared(item, held, hazards, virtual_host))
    return known


def strangers(management: Management, items: Iterable[Object], names: Names) -> list[Binding]:
    """What binds lanes to the edits' exchange and should not: as bindings that must not be."""
    items = list(items)
    wanted = {(each.queue, each.key) for each in items if isinstance(each, Binding)}
    lanes = [each.name for each in items if isinstance(each, Queue) and names.account_of(each.name)]
    return [
        Binding(names.exchange, lane, key, absent=True)
        for lane in lanes
        for key in sorted(management.keys(names.exchange, lane))
        if (lane, key) not in wanted
    ]


def _bound(item: Binding, there: bool) -> ObjectCheck:  # noqa: FBT001 - the one thing asked
    if there is not item.absent:
        return ObjectCheck(item, ObjectState.GOOD)
    if there:
        return ObjectCheck(item, ObjectState.DIFFERS, "it should not be there", APPLY)
    return ObjectCheck(item, ObjectState.MISSING, mend=APPLY)


def _compared(
    item: Exchange | Queue, held: Held | None, hazards: Iterable[str], virtual_host: str
) -> ObjectCheck:
    if held is None:
        return ObjectCheck(item, ObjectState.MISSING, mend=APPLY)
    differences = list(_differences(item, held))
    if differences:
        return ObjectCheck(
            item, ObjectState.DIFFERS, "; ".join(differences), replaced(item, virtual_host)
        )
    if wrong := [f"{key} {held.definition[key]}" for key in hazards]:
        detail = f"the policy {held.policy} sets {', '.join(wrong)}, which can lose edits"
        mend = f"rabbitmqctl clear_policy -p {virtual_host} {held.policy}"
        return ObjectCheck(item, ObjectState.DIFFERS, detail, mend)
    return ObjectCheck(item, ObjectState.GOOD, f"policy {held.policy}" if held.policy else "")


def _differences(item: Exchange | Queue, held: Held) -> Iterator[str]:
    kind = item.kind if isinstance(item, Exchange) else item.arguments["x-queue-type"]
    if held.kind != kind:
        yield f"it should be {kind}, and is {held.kind}"
    for name in sorted({*item.arguments, *held.arguments}):
        wanted, found = item.arguments.get(name), held.arguments.get(name)
        if wanted != found:
            yield f"{name} should be {_shown(wanted)}, and is {_shown(found)}"


def _shown(value: object) -> str:
    return "absent" if value is None else str(value)


def _hazards(queue: str, definition: Mapping[str, Any], names: Names) -> list[str]:
    """The keys of a policy that would lose what is in the queue."""
    if queue in {names.journal, names.control, names.operations}:
        return []
    bad = set(_NEVER)
    if names.account_of(queue) is None:
        bad.add("message-ttl")  # a lane's expired edits go to the strays; from there nowhere
        if not str(definition.get("overflow", "")).startswith("reject-publish"):
            bad |= _LENGTHS
    return sorted(bad & set(definition))


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
    settings = sessions.read_settings(accounts_wanted=True, secrets_wanted=False)
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
    settings = sessions.read_settings(accounts_wanted=True, secrets_wanted=False)
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
    settings = sessions.read_settings(accounts_wanted=True, secrets_wanted=False)
    with inspected(settings) as inspection:
        findings = compared(inspection, settings)
        lanes = [each for each in findings if each.state is ObjectState.LEFT_OVER]
        if settings.management_url is None:
            _tell(lanes, as_json=False)
            click.echo("prune needs TASKEDIT_MANAGEMENT_URL: AMQP shows no bindings.", err=True)
            ctx.exit(BAD_SETTINGS)
        if not lanes:
            click.echo("No lane is left over.", err=True)
            ctx.exit(DONE)
        if any(each.state is ObjectState.MISSING for each in findings):
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
    settings = sessions.read_settings(accounts_wanted=True, secrets_wanted=False)
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
    inspection: Inspection, settings: Settings, lanes: Sequence[ObjectCheck]
) -> dict[str, list[Bound]]:
    """By what lanes are bound, by the account that each was of."""
    names = Names(settings.namespace)
    asked = management(settings, inspection.virtual_host)
    if asked is None:
        return {}
    queues = [each.item.name for each in lanes if isinstance(each.item, Queue)]
    with asked:
        return {str(names.account_of(queue)): asked.bindings(queue) for queue in queues}


def _unowned(inspection: Inspection, settings: Settings) -> list[ObjectCheck]:
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
    settings = sessions.read_settings(accounts_wanted=True, secrets_wanted=False)
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


def compared(inspection: Inspection, settings: Settings) -> list[ObjectCheck]:
    """What RabbitMQ holds against what it should: by AMQP, and by management where it may."""
    items, names = objects(settings), Names(settings.namespace)
    found = check(inspection, items, compare=settings.declare)
    asked = management(settings, inspection.virtual_host)
    if asked is None:
        return [*found, *left_over.found(inspection, None, settings)]
    with asked:
        unwanted = check(inspection, strangers(asked, items, names), compare=False)
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


def _applied(inspection: Inspection, item: Object) -> ObjectCheck:
    refusal = inspection.declare(item)
    return (
        ObjectCheck(item, ObjectState.GOOD)
        if refusal is None
        else refused(inspection, item, refusal)
    )


def _is_wrong(findings: Sequence[ObjectCheck]) -> bool:
    return any(
        each.state in {ObjectState.MISSING, ObjectState.DIFFERS, ObjectState.LEFT_OVER}
        for each in findings
    )


def _tell(findings: Sequence[ObjectCheck], *, as_json: bool) -> None:
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
    click.echo(
        ", ".join(f"{counts[state]} {state}" for state in ObjectState if counts[state]), err=True
    )
