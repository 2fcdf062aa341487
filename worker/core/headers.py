"""AMQP 0-9-1 field tables kept as the bytes they came in.

A publisher's headers are carried on to the dead letter untouched, so they are split, not decoded:
nothing a publisher can put into one (a timestamp in the year 58122, tables nested 500 deep) can
raise here. Only the few scalars that the worker needs are ever read.

Source: AMQP 0-9-1 section 4.2.5.5, with RabbitMQ's type letters
(https://www.rabbitmq.com/amqp-0-9-1-errata#section_3).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LENGTH = Struct(">I")
_FIXED = {b"t": 1, b"b": 1, b"B": 1, b"s": 2, b"u": 2, b"I": 4, b"i": 4, b"l": 8, b"L": 8}
_FIXED |= {b"f": 4, b"d": 8, b"D": 5, b"T": 8, b"V": 0}
_SIGNED = frozenset((b"b", b"s", b"I", b"l", b"L"))
_UNSIGNED = frozenset((b"B", b"u", b"i"))
_STRING = ord("S")
_LONG = frozenset((b"S", b"x", b"A", b"F"))
_NAME_LIMIT = 255

TABLE_BYTES_AT_MOST = 120 * 1024
"""All properties of a message are one frame, and RabbitMQ closes a connection that sends one above
128 KiB (its default frame_max); the difference is for what the worker adds."""


@dataclass(frozen=True, slots=True)
class Headers:
    """A message's header table; `table` is its encoding without the leading length."""

    table: bytes = b""

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        """Name and encoded value (type letter included) of each header that can be read."""
        return _fields(self.table)

    def text(self, name: str) -> str | None:
        """The header as text: a string as it is, an integer in digits; None if neither."""
        if name.encode("utf-8", "surrogateescape") not in self.table:
            return None
        for known, value in self:
            if known == name:
                return _text(value)
        return None

    def texts(self) -> dict[str, str]:
        """The headers that are strings, fit for events and logs: what is no UTF-8 is marked."""
        table, found, at, size = self.table, dict[str, str](), 0, len(self.table)
        letters = table.decode("latin-1")  # one each byte, and those of ASCII are right
        while at < size:  # `_fields` in one piece: a look reads a hundred thousand of these
            start = at + 1 + table[at]
            if start + 5 <= size and table[start] == _STRING:
                end = start + 5 + _LENGTH.unpack_from(table, start + 1)[0]
                if end > size:
                    break
                name, text = letters[at + 1 : start], letters[start + 5 : end]
                if not (name.isascii() and text.isascii()):
                    name = table[at + 1 : start].decode("utf-8", "surrogateescape")
                    text = _legible(table[start + 5 : end])
                found[name] = text
                at = end
            elif (other := _end(table, start)) is not None:
                at = other
            else:
                break
        return found

    def tables(self, name: str) -> tuple[Headers, ...]:
        """The header as a list of tables (such as RabbitMQ's `x-death`); others are left out."""
        for known, value in self:
            if known == name and value[:1] == b"A":
                items = _items(value[5:])
                return tuple(Headers(item[5:]) for item in items if item[:1] == b"F")
        return ()

    def merged(self, texts: Mapping[str, str]) -> Headers:
        """These headers and `texts` as strings, the latter winning over the same name."""
        if not self.table:
            return Headers.of(texts)
        kept = [_field(name, value) for name, value in self if name not in texts]
        return Headers(b"".join(kept) + Headers.of(texts).table)

    def kept(self, *, without: frozenset[str], prefix: str) -> Headers:
        """All that fit a frame but the names in `without` and those with `prefix`, any case."""
        kept, room = [], TABLE_BYTES_AT_MOST
        for name, value in self:
            field = _field(name, value)
            excluded = name in without or name.lower().startswith(prefix)
            if not excluded and len(field) <= room:
                kept.append(field)
                room -= len(field)
        return Headers(b"".join(kept))

    def within(self, room: int, *, keeping: str) -> tuple[Headers, tuple[str, ...]]:
        """These in at most `room` bytes, and the names of those left out: the largest go first.

        Headers whose names begin with `keeping` all stay, even if they alone are more than that.
        """
        fields = [(name, _field(name, value)) for name, value in self]
        excess = len(self.table) - room
        out: list[int] = []
        for at in sorted(range(len(fields)), key=lambda at: len(fields[at][1]), reverse=True):
            if excess > 0 and not fields[at][0].startswith(keeping):
                out.append(at)
                excess -= len(fields[at][1])
        kept = b"".join(field for at, (_, field) in enumerate(fields) if at not in out)
        return Headers(kept), tuple(fields[at][0] for at in out)

    @staticmethod
    def of(texts: Mapping[str, str]) -> Headers:
        """A table of strings."""
        return Headers(b"".join(_field(name, _string(text)) for name, text in texts.items()))


NO_HEADERS = Headers()


def _legible(encoded: bytes) -> str:
    try:
        return encoded.decode()
    except UnicodeDecodeError:
        return encoded.decode("utf-8", "surrogateescape").encode("utf-8", "replace").decode()


def _string(text: str) -> bytes:
    encoded = text.encode("utf-8", "replace")
    return b"S" + _LENGTH.pack(len(encoded)) + encoded


def _field(name: str, value: bytes) -> bytes:
    key = name.encode("utf-8", "surrogateescape")[:_NAME_LIMIT]
    return bytes((len(key),)) + key + value


def _fields(table: bytes) -> Iterator[tuple[str, bytes]]:
    """Split a table; what follows an unreadable field is dropped, for its start is unknown."""
    at = 0
    while at < len(table):
        start = at + 1 + table[at]
        end = _end(table, start)
        if end is None:
            return
        yield table[at + 1 : start].decode("utf-8", "surrogateescape"), table[start:end]
        at = end


def _items(array: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(array):
        end = _end(array, at)
        if end is None:
            return
        yield array[at:end]
        at = end


def _end(encoded: bytes, at: int) -> int | None:
    """Where the value that starts at `at` ends; None if its type or length makes no sense."""
    letter = encoded[at : at + 1]
    try:
        size = 4 + _LENGTH.unpack_from(encoded, at + 1)[0] if letter in _LONG else _FIXED[letter]
    except (struct.error, KeyError):
        return None
    end = at + 1 + int(size)
    return end if end <= len(encoded) else None


def _text(value: bytes) -> str | None:
    letter = value[:1]
    if letter in (b"S", b"x"):
        return value[5:].decode("utf-8", "surrogateescape")
    if letter in _SIGNED:
        return str(int.from_bytes(value[1:], "big", signed=True))
    if letter in _UNSIGNED:
        return str(int.from_bytes(value[1:], "big"))
    return None
