"""RabbitMQ's addresses: AMQP URLs made into pika's parameters."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit, urlunsplit

from pika import SSLOptions, URLParameters

if TYPE_CHECKING:
    from datetime import timedelta

    from pika.connection import Parameters


def parameters(url: str, *, name: str, version: str, heartbeat: timedelta) -> Parameters:
    """Parameters of pika for one ``amqp://`` or ``amqps://`` URL.

    TLS verifies the server's name and authority; ``?cacertfile=…&certfile=…&keyfile=…`` name
    other files than the system's. Raises `ValueError` or `OSError` for a URL or file that is
    no good.
    """
    parts = urlsplit(url)
    query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    found = URLParameters(urlunsplit(parts._replace(query="")))
    if parts.scheme == "amqps":
        server = query.get("server_name_indication") or parts.hostname or ""
        found.ssl_options = SSLOptions(_context(query), server)
    seconds = heartbeat.total_seconds()
    found.heartbeat = max(1, round(seconds))
    found.connection_attempts = 1
    found.socket_timeout = found.stack_timeout = max(2.0, 2 * seconds)
    found.blocked_connection_timeout = None
    found.client_properties = {
        "connection_name": name,
        "product": "task-edit-worker",
        "version": version,
    }
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        found.tcp_options = {"TCP_USER_TIMEOUT": round(2000 * seconds)}
    return found


def shown(url: str) -> str:
    """The URL for logs and people: host, port and virtual host, without user and password."""
    parts = urlsplit(url)
    port = parts.port or (5671 if parts.scheme == "amqps" else 5672)
    return f"{parts.scheme}://{parts.hostname}:{port}{parts.path}"


def _context(query: dict[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=query.get("cacertfile"))
    if "certfile" in query:
        context.load_cert_chain(query["certfile"], query.get("keyfile"))
    return context
