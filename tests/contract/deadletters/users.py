"""A user of RabbitMQ who may not do everything."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import requests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops.rabbitmq.node import Node


@contextmanager
def a_user(node: Node, *, configure: str, write: str, read: str) -> Iterator[str]:
    """An AMQP URL of a user with these permissions, as regular expressions of names."""
    with requests.Session() as session:
        session.trust_env = False
        user = f"{node.management_url}/api/users/somebody"
        session.put(user, json={"password": "word", "tags": ""}, timeout=10).raise_for_status()
        session.put(
            f"{node.management_url}/api/permissions/%2F/somebody",
            json={"configure": configure, "write": write, "read": read},
            timeout=10,
        ).raise_for_status()
        try:
            yield node.amqp_url.replace("guest:guest", "somebody:word")
        finally:
            session.delete(user, timeout=10)
