"""Messages made to hurt: bodies of every bad kind, and headers that break AMQP decoders.

Each is to be dead-lettered once, so one that has hostile headers has an invalid body as well.
"""

from __future__ import annotations

import gzip
import json
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pika

from tests.acceptance.kit import edit

if TYPE_CHECKING:
    from collections.abc import Iterator

MILLISECONDS = 1_772_000_000_000
"""A timestamp as careless publishers write it: in seconds it is the year 58122."""
MALFORMED, INVALID = "malformed", "invalid"


@dataclass(frozen=True, slots=True)
class Hostile:
    """A message, and the reason of its dead letter."""

    name: str
    body: bytes
    reason: str
    properties: pika.BasicProperties


class Raw(pika.BasicProperties):
    """Properties whose table of headers is given as bytes, which pika would never write."""

    def __init__(self, table: bytes, **properties: Any) -> None:  # noqa: ANN401
        super().__init__(headers={}, delivery_mode=2, **properties)
        self.table = table

    def encode(self) -> list[bytes]:
        """As pika does, with the table put in the place of its empty one."""
        pieces: list[bytes] = super().encode()
        place = pieces.index(_EMPTY_TABLE)
        return [
            *pieces[:place],
            struct.pack(">I", len(self.table)),
            self.table,
            *pieces[place + 1 :],
        ]


_EMPTY_TABLE = struct.pack(">I", 0)


def field(name: bytes, kind: bytes, value: bytes) -> bytes:
    """One header, as AMQP 0-9-1 writes it."""
    return bytes((len(name),)) + name + kind + value


def sized(value: bytes) -> bytes:
    """A value with its length before it, as long strings, arrays and tables have."""
    return struct.pack(">I", len(value)) + value


def nested(levels: int, kind: bytes = b"F") -> bytes:
    """The value of a table in a table in a table, or of such arrays."""
    value = b""
    for _ in range(levels):
        value = sized(
            field(b"t", b"F", value) if kind == b"F" and value else kind * bool(value) + value
        )
    return value


def corpus() -> list[Hostile]:
    """All of them; the name of each is its message id, unless it has none or a hostile one."""
    bodies = [*_MALFORMED.items()]
    found = [_plain(name, body, MALFORMED) for name, body in bodies]
    found += [_plain(name, json.dumps(body).encode(), INVALID) for name, body in _invalid()]
    found += [
        Hostile(name, _marked(name), INVALID, Raw(table, message_id=name))
        for name, table in _TABLES.items()
    ]
    found += [
        Hostile(name, _marked(name), INVALID, pika.BasicProperties(delivery_mode=2, **properties))
        for name, properties in _PROPERTIES.items()
    ]
    return found + _cloudevents()


def _plain(name: str, body: bytes, reason: str) -> Hostile:
    return Hostile(name, body, reason, pika.BasicProperties(message_id=name, delivery_mode=2))


def _marked(name: str) -> bytes:
    """An invalid body that no other message has."""
    return json.dumps(edit(7, name=name, robotCount=0)).encode()


def _text(**changes: object) -> str:
    return json.dumps(edit(7, **changes))


_GOOD = _text()
_MALFORMED: dict[str, bytes] = {
    "empty": b"",
    "blank": b" \r\n\t ",
    "not utf-8": b"\xff\xfe\xfd",
    "utf-16": _GOOD.encode("utf-16"),
    "latin-1": _text(name="x").replace('"x"', '"\u00fc"').encode("latin-1"),
    "byte order mark": b"\xef\xbb\xbf" + _GOOD.encode(),
    "cut in a character": _text(name="x").replace('"x"', '"\u00fc"').encode()[:-2][:40] + b"\xc3",
    "null": b"null",
    "true": b"true",
    "a number": b"123",
    "a string": b'"edit"',
    "a list": b"[]",
    "a list of edits": f"[{_GOOD}]".encode(),
    "truncated": _GOOD[:-1].encode(),
    "two documents": (_GOOD + _GOOD).encode(),
    "something behind": (_GOOD + "x").encode(),
    "trailing comma": (_GOOD[:-1] + ",}").encode(),
    "single quotes": _GOOD.replace('"', "'").encode(),
    "a comment": (_GOOD[:-1] + "/* */}").encode(),
    "NaN": _GOOD.replace("2959", "NaN").encode(),
    "Infinity": _GOOD.replace("2959", "Infinity").encode(),
    "minus Infinity": _GOOD.replace("2959", "-Infinity").encode(),
    "a key twice": (_GOOD[:-1] + ', "jobId": 8}').encode(),
    "an inner key twice": (
        _GOOD[:-1] + ', "inactiveTimeList": [{"startTime": "12:00", "startTime": "12:30"}]}'
    ).encode(),
    "lists 30000 deep": b"[" * 30_000 + b"]" * 30_000,
    "lists never closed": b"[" * 60_000,
    "objects 500 deep": b'{"a":' * 500 + b"1" + b"}" * 500,
    "nested in a field": (_GOOD[:-1] + ', "x": ' + "[" * 100 + "]" * 100 + "}").encode(),
    "over 64 KiB": _text(name="x" * 65_536).encode(),
    "far over 64 KiB": b" " * 300_000 + _GOOD.encode(),
    "half a surrogate pair": _text(name="x").replace('"x"', r'"\ud800"').encode(),
    "the other half": _text(name="x").replace('"x"', r'"\udc00"').encode(),
    "half a pair in a key": (_GOOD[:-1] + r', "\ud800": 1}').encode(),
    "an integer of 20000 digits": _GOOD.replace("2959", "9" * 20_000).encode(),
    "a zero byte": _GOOD.replace("MANUAL", "MAN\0UAL").encode(),
    "a line break in a string": _GOOD.replace("MANUAL", "MAN\nUAL").encode(),
    "HTML": b"<html><body>502 Bad Gateway</body></html>",
    "gzip": gzip.compress(_GOOD.encode(), mtime=0),
    "form data": b"appId=acme-app&jobId=123",
}


def _invalid() -> Iterator[tuple[str, dict[str, Any]]]:
    """Bodies that can be read, each against one rule."""
    yield "nothing said", {}
    yield "a key of 60 KB", edit(7) | {"x" * 60_000: 1}
    wrong: dict[str, dict[str, Any]] = {
        "an unknown field": {"colour": "red"},
        "a near miss": {"jobid": 123},
        "a job as text": {"jobId": "123"},
        "a job as true": {"jobId": True},
        "a job as 1.0": {"jobId": 1.0},
        "job 0": {"jobId": 0},
        "job -1": {"jobId": -1},
        "job 2^63": {"jobId": 2**63},
        "robots 2^31": {"robotCount": 2**31},
        "no robots": {"robotCount": 0},
        "mode in lower case": {"mode": "manual"},
        "mode as a list": {"mode": ["MANUAL"]},
        "AUTO without a start": {"mode": "AUTO"},
        "the end before the start": {
            "startDateTime": "2022-09-16 08:00:00",
            "endDateTime": "2022-09-15 08:00:00",
        },
        "a blank name": {"name": " \u3000 "},
        "no such day": {"startDateTime": "2022-02-30 08:00:00"},
        "one digit of hours": {"dailyStartDateTime": "9:00"},
        "digits of another script": {"dailyStartDateTime": "\u0660\u0669:00"},
        "the day's end before its start": {
            "dailyStartDateTime": "19:00",
            "dailyEndDateTime": "10:00",
        },
        "four times": {"inactiveTimeList": [{"startTime": "12:00", "endTime": "13:00"}] * 4},
        "redial 4 times": {"redial": True, "redialTimes": 4},
        "redial in a day and a minute": {"redial": True, "redialInterval": 1441},
        "no such weekday": {"daysOfWeek": ["FUNDAY"]},
        "weekdays as an object": {"daysOfWeek": {"0": "MONDAY"}},
        "another's app": {"appId": "of-somebody-else"},
    }
    for name, changes in wrong.items():
        yield name, edit(7) | changes


_TABLES: dict[str, bytes] = {
    "timestamp in milliseconds": field(b"at", b"T", struct.pack(">Q", MILLISECONDS)),
    "timestamp of all ones": field(b"at", b"T", b"\xff" * 8),
    "tables 500 deep": field(b"deep", b"F", nested(500)),
    "arrays 500 deep": field(b"deep", b"A", nested(500, b"A")),
    "a double": field(b"d", b"d", struct.pack(">d", 1.7e308)),
    "a float": field(b"f", b"f", struct.pack(">f", 1.5)),
    "a decimal of scale 255": field(b"d", b"D", b"\xff" + b"\xff" * 4),
    "a byte array": field(b"x", b"x", sized(b"\0\xff\xfe")),
    "void": field(b"v", b"V", b""),
    "a string that is no text": field(b"s", b"S", sized(b"\xff\xfe\x00")),
    "a name that is no text": field(b"\xff\xfe", b"S", sized(b"x")),
    "a name without letters": field(b"", b"S", sized(b"x")),
    "a header of 50 KB": field(b"long", b"S", sized(b"x" * 50_000)),
    "2000 headers": b"".join(field(b"h%d" % n, b"t", b"\1") for n in range(2000)),
    "a header twice": field(b"twice", b"S", sized(b"1")) + field(b"twice", b"S", sized(b"2")),
    "x-death as text": field(b"x-death", b"S", sized(b"expired")),
    "x-death of another": field(
        b"x-death",
        b"A",
        sized(
            b"F" + sized(field(b"queue", b"S", sized(b"q")) + field(b"count", b"l", b"\x7f" * 8))
        ),
    ),
    "x-delivery-count of a million": field(b"x-delivery-count", b"l", struct.pack(">q", 10**6)),
    "redrives as text": field(b"taskedit-redrives", b"S", sized(b"many")),
    "redrives below zero": field(b"taskedit-redrives", b"l", struct.pack(">q", -5)),
    "handed on, of a key too long for one": field(b"taskedit-handed-on", b"S", sized(b"other"))
    + field(b"taskedit-routing-key", b"S", sized(b"k" * 300)),
    "our own reason": field(b"taskedit-reason", b"S", sized(b"applied")),
    "a traceparent of 50 KB": field(b"traceparent", b"S", sized(b"0" * 50_000)),
    "a traceparent that is a table": field(b"traceparent", b"F", nested(3)),
}
_PROPERTIES: dict[str, dict[str, Any]] = {
    "property timestamp in milliseconds": {"timestamp": MILLISECONDS},
    "property timestamp of all ones": {"timestamp": 2**64 - 1},
    "a reply to nobody": {"reply_to": "no-such-queue"},
    "a reply to a client that is gone": {"reply_to": "amq.rabbitmq.reply-to.g1h2AA.gone"},
    "a reply to the lane of nobody": {"reply_to": "\u00fc" * 127},
    "a time to live": {"expiration": "3600000"},
    "a user": {"user_id": "guest"},
    "the highest priority": {"priority": 255},
    "ids as long as can be": {"message_id": "m" * 255, "correlation_id": "c" * 255},
    "line breaks in ids": {"message_id": "a\r\nb", "correlation_id": "\0"},
    "an encoding that it has not": {"content_encoding": "gzip"},
    "a type as long as can be": {"type": "t" * 255, "app_id": "a" * 255},
    "a content type with parameters": {"content_type": "application/json; charset=utf-16"},
    "copies for its own lane": {"headers": {"CC": ["acme-app"], "BCC": ["acme-app"]}},
}


def _cloudevents() -> list[Hostile]:
    """Messages that claim to be CloudEvents."""
    event = {"specversion": "1.0", "id": "e", "source": "/here", "type": "edit"}
    claims: dict[str, object] = {
        "no event at all": edit(7),
        "an event without data": event,
        "an event without an id": {**event, "id": None, "data": edit(7)},
        "an event with a list": {**event, "data": [edit(7)]},
        "an event in no base64": {**event, "data_base64": "=!="},
        "an event of a later kind": {**event, "specversion": "9.9", "data": edit(7)},
    }
    return [
        Hostile(
            name,
            json.dumps(claim).encode(),
            MALFORMED,
            pika.BasicProperties(
                message_id=name, delivery_mode=2, content_type="application/cloudevents+json"
            ),
        )
        for name, claim in claims.items()
    ]
