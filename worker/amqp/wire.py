"""Basic properties between pika's frames and the core's values.

pika 1.4.4 decodes header tables while it reads frames, before any callback: a timestamp of the
year 58122, or tables nested 500 deep, raise there and cost the connection, again at every
redelivery (pika#1698). pika finds the class that decodes properties in its public registry
`pika.spec.props`; `install` puts one there that keeps the table as bytes.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any

from pika import data, spec

from worker.core.delivery import Delivery, Properties
from worker.core.headers import NO_HEADERS, Headers

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

_FLAGS = Struct(">H")
_LENGTH = Struct(">I")
_TIMESTAMP = Struct(">Q")


def _short(encoded: bytes, at: int) -> tuple[str, int]:
    end = at + 1 + encoded[at]
    return encoded[at + 1 : end].decode("utf-8", "surrogateescape"), end


def _octet(encoded: bytes, at: int) -> tuple[int, int]:
    return encoded[at], at + 1


def _epoch(encoded: bytes, at: int) -> tuple[int, int]:
    return _TIMESTAMP.unpack_from(encoded, at)[0], at + 8


def _table(encoded: bytes, at: int) -> tuple[Headers, int]:
    end = at + 4 + _LENGTH.unpack_from(encoded, at)[0]
    return Headers(encoded[at + 4 : end]), end


def _short_out(text: str) -> bytes:
    encoded = text.encode("utf-8", "surrogateescape")[:255]
    return bytes((len(encoded),)) + encoded


def _octet_out(number: int) -> bytes:
    return bytes((number,))


def _table_out(headers: Headers) -> bytes:
    return _LENGTH.pack(len(headers.table)) + headers.table


_FIELDS: tuple[tuple[int, str, Any, Callable[[Any], bytes]], ...] = (
    (1 << 15, "content_type", _short, _short_out),
    (1 << 14, "content_encoding", _short, _short_out),
    (1 << 13, "headers", _table, _table_out),
    (1 << 12, "delivery_mode", _octet, _octet_out),
    (1 << 11, "priority", _octet, _octet_out),
    (1 << 10, "correlation_id", _short, _short_out),
    (1 << 9, "reply_to", _short, _short_out),
    (1 << 8, "expiration", _short, _short_out),
    (1 << 7, "message_id", _short, _short_out),
    (1 << 6, "timestamp", _epoch, _TIMESTAMP.pack),
    (1 << 5, "type", _short, _short_out),
    (1 << 4, "user_id", _short, _short_out),
    (1 << 3, "app_id", _short, _short_out),
)
"""Flag, name, decoder and encoder of each property, in the order of the wire (AMQP 0-9-1)."""


class WireProperties(spec.BasicProperties):
    """pika's properties with the core's `Properties` inside."""

    def __init__(self, properties: Properties = Properties()) -> None:  # noqa: B008 (frozen)
        """Wrap `properties` for publishing; without, to be filled by `decode`."""
        self.core = properties

    def __getattr__(self, name: str) -> object:
        """What pika's own properties would have, for whoever else uses pika in this process.

        Only then are headers decoded pika's way, which raises for those that it cannot read.
        """
        if name == "headers":
            table = self.core.headers.table
            return data.decode_table(_table_out(self.core.headers), 0)[0] if table else None
        if name == "cluster_id":
            return None
        if name in Properties.__dataclass_fields__:
            return getattr(self.core, name)
        raise AttributeError(name)

    def decode(self, encoded: bytes, offset: int = 0) -> WireProperties:
        """Fill from a content header frame; header tables are kept as bytes."""
        flags = _FLAGS.unpack_from(encoded, offset)[0]
        at = offset + 2
        found: dict[str, Any] = {}
        for flag, name, read, _ in _FIELDS:
            if flags & flag:
                found[name], at = read(encoded, at)
        self.core = Properties(**found)
        return self

    def encode(self) -> list[bytes]:
        """The pieces of a content header frame."""
        flags, pieces = 0, [b""]
        core = self.core
        for flag, name, _, write in _FIELDS:
            value = getattr(core, name)
            if value is not None and value is not NO_HEADERS:
                flags |= flag
                pieces.append(write(value))
        pieces[0] = _FLAGS.pack(flags)
        return pieces


def received(
    method: spec.Basic.Deliver, properties: spec.BasicProperties, body: bytes, at: datetime
) -> Delivery:
    """A delivery from what pika hands to a consumer; `at`: aware, UTC."""
    if not isinstance(properties, WireProperties) or method.delivery_tag is None:
        message = "pika decoded a message before worker.amqp.wire.install was called"
        raise TypeError(message)
    return Delivery(
        method.delivery_tag,
        _name(method.exchange),
        _name(method.routing_key),
        bool(method.redelivered),
        properties.core,
        body,
        at,
    )


def _name(name: str | bytes | None) -> str:
    return name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name or ""


def install() -> None:
    """Have pika decode properties with `WireProperties`, in this process, from now on."""
    spec.props[spec.BasicProperties.INDEX] = WireProperties
