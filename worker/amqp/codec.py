"""Basic properties between pika's frames and the core's values.

pika 1.4.4 decodes header tables while it reads frames, before any callback: a timestamp of the
year 58122, or tables nested 500 deep, raise there and cost the connection, again at every
redelivery (pika#1698). pika finds the class that decodes properties in its public registry
`pika.spec.props`; `install` puts one there that keeps the table as bytes.
"""

from __future__ import annotations

from dataclasses import replace
from struct import Struct
from typing import TYPE_CHECKING, Any

import structlog
from pika import data, spec

from worker.core.headers import NO_HEADERS, Headers
from worker.core.message import Delivery, Properties, fit

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime


log = structlog.get_logger()

_FLAGS = Struct(">H")
_LENGTH = Struct(">I")
_TIMESTAMP = Struct(">Q")
_FRAME_BYTES = 26
"""Of a content header frame, besides the properties: 7 before and 1 behind, class, weight, size of
the body (12), flags (2), length of the header table (4). AMQP 0-9-1 sections 2.3.5 and 4.2.6.1."""
_OTHER_PROPERTIES_AT_MOST = 10 * 256 + 10
"""Ten short strings, two octets and a timestamp."""


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


def same_name(ours: str, theirs: str | bytes | None) -> bool:
    """Whether pika has read the name that `publish` wrote."""
    return ours == name_in(theirs)


def fitted(properties: Properties, frame_max: int) -> Properties:
    """Properties whose header frame the connection carries.

    RabbitMQ ends the connection over one that is larger than was negotiated (501), and whoever
    publishes it again would end the next one too.
    """
    least = len(properties.headers.table) + _OTHER_PROPERTIES_AT_MOST
    if not frame_max or least <= frame_max - _FRAME_BYTES:
        return properties
    others = WireProperties(replace(properties, headers=NO_HEADERS)).encode()
    room = frame_max - _FRAME_BYTES - sum(map(len, others))
    fitted, left_out = fit(properties, room)
    if left_out:
        log.warning("headers_left_out", count=len(left_out), frame_max=frame_max)
    return fitted


def received(
    method: spec.Basic.Deliver, properties: spec.BasicProperties, body: bytes, at: datetime
) -> Delivery:
    """A delivery from what pika hands to a consumer; `at`: aware, UTC."""
    if not isinstance(properties, WireProperties) or method.delivery_tag is None:
        message = "pika decoded a message before worker.amqp.codec.install was called"
        raise TypeError(message)
    return Delivery(
        method.delivery_tag,
        name_in(method.exchange),
        name_in(method.routing_key),
        bool(method.redelivered),
        properties.core,
        body,
        at,
    )


def name_out(name: str) -> str:
    """A name for pika, which writes bytes as they are and of text only what is UTF-8."""
    return name if name.isascii() else name.encode("utf-8", "surrogateescape")  # type: ignore[return-value]


def name_in(name: str | bytes | None) -> str:
    """A name as the core has it, of what pika has read."""
    return name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name or ""


def install() -> None:
    """Have pika decode properties with `WireProperties`, in this process, from now on."""
    spec.props[spec.BasicProperties.INDEX] = WireProperties
