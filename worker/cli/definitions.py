"""The topology as a definitions file for RabbitMQ to import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from worker.amqp.topology import Binding, Exchange, Queue

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from schemas import Names
    from worker.amqp.topology import Object

NOTHING = "^$"
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


def permission(
    user: str, names: Names, lanes: Iterable[str], virtual_host: str, *, declare: bool
) -> dict[str, str]:
    """What a worker's user may do, and no more; the user itself has to exist.

    `declare`: whether the worker declares the topology, or finds it declared. Source: the table
    of https://www.rabbitmq.com/docs/access-control#authorisation.
    """
    queues = {names.strays, names.dead, names.journal, *lanes}
    exchanges = {names.exchange, names.strays, names.events, names.dead}
    read, write = {names.strays, names.journal, *lanes}, {names.events, names.dead}
    if declare:
        read |= queues | exchanges
        write |= queues | {names.strays}
    return {
        "user": user,
        "vhost": virtual_host,
        "configure": _any_of(queues | exchanges) if declare else NOTHING,
        "write": _any_of({DEFAULT_EXCHANGE, *write}),
        "read": _any_of(read),
    }


def _any_of(names: Iterable[str]) -> str:
    """A regular expression for these names; of what they may hold only dots mean more there."""
    return f"^({'|'.join(name.replace('.', '[.]') for name in sorted(names))})$"
