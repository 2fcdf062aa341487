"""The topology as a definitions file for RabbitMQ to import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from worker.amqp.topology import Binding, Exchange, Queue

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from schemas import Names
    from worker.amqp.topology import Object

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
