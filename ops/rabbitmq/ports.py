"""Free TCP ports on loopback."""

from __future__ import annotations

import random
import socket

# Below the range that Linux hands out to outgoing connections (32768 and up): while a broker
# is down, a client that keeps reconnecting could be given its port, or even meet itself on it.
_RANGE = range(20_000, 32_000)
_TRIES = 100

USUAL = 5672, 15672
"""Where clients look for RabbitMQ unless told otherwise: AMQP, and its management API."""


def free_port(usual: int | None = None) -> int:
    """A port on 127.0.0.1 that nobody listens on now: the usual one if it is free."""
    for port in ([usual] if usual else []) + random.choices(_RANGE, k=_TRIES):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    message = f"no free port in {_TRIES} tries between {_RANGE.start} and {_RANGE.stop}"
    raise OSError(message)
