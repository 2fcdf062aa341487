"""Dead letters as JSON Lines and back, so that what is imported is what was exported.

A line has the properties under their AMQP names, `headers` as texts and the `body` as text. What
is no text stands beside it in base64: `bodyBase64` instead of a body that is not UTF-8, and
`headersBase64` for a header table (as on the wire, AMQP 0-9-1 section 4.2.5.5) that is more than
strings; where it is given it counts, and `headers` is there to be read. Headers are in the order
of their names, which RabbitMQ brings them into when it hands a message out again, and what it
then adds (`x-delivery-count`) is no part of a letter.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from schemas.document import printable
from worker.core.headers import Headers
from worker.core.message import Properties, Publication

if TYPE_CHECKING:
    from worker.core.message import Delivery

_LARGEST = {"delivery_mode": 255, "priority": 255, "timestamp": 2**64 - 1}
_PROPERTIES = tuple(field.name for field in fields(Properties) if field.name != "headers")
_KNOWN = frozenset(("routingKey", "properties", "headers", "headersBase64", "body", "bodyBase64"))
_SHORT_STRING_BYTES = 255
_BROKERS_OWN = "x-"


def letter_line(delivery: Delivery) -> str:
    """A letter as one line of JSON, without the line's end."""
    return json.dumps(fields_of(delivery), separators=(",", ":"))


def fields_of(delivery: Delivery) -> dict[str, Any]:
    """What a line of a letter says."""
    had = delivery.properties
    own = _sorted(had.headers.kept(without=frozenset(), prefix=_BROKERS_OWN))
    said = {name: getattr(had, name) for name in _PROPERTIES}
    texts = {
        name: value[5:].decode("utf-8", "surrogateescape")
        for name, value in own
        if value[:1] == b"S"
    }
    found: dict[str, Any] = {
        "routingKey": delivery.routing_key,
        "properties": {name: value for name, value in said.items() if value is not None},
        "headers": texts,
    }
    if Headers.of(texts) != own:
        found["headersBase64"] = b64encode(own.table).decode()
    try:
        found["body"] = delivery.body.decode()
    except UnicodeDecodeError:
        found["bodyBase64"] = b64encode(delivery.body).decode()
    return found


def letter_in(text: str | bytes, exchange: str) -> Publication | str:
    """The publication that a line stands for, to `exchange`; or what is wrong, in a sentence."""
    try:
        said = _object(text)
        key = said.get("routingKey", "")
        return Publication(exchange, _text("routingKey", key), _body(said), _properties(said))
    except _FlawError as flaw:
        return str(flaw)


def _sorted(headers: Headers) -> Headers:
    fields = sorted((name.encode("utf-8", "surrogateescape"), value) for name, value in headers)
    return Headers(b"".join(bytes((len(name),)) + name + value for name, value in fields))


class _FlawError(Exception):
    """What is wrong with a line, in a sentence; goes no further than `letter_in`."""


def _object(text: str | bytes) -> dict[str, Any]:
    try:
        said = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _FlawError(f"It is not JSON: {error}.") from None
    if not isinstance(said, dict):
        raise _FlawError("It is not a JSON object.")
    for name in said:
        if name not in _KNOWN:
            raise _FlawError(f"{printable(name)} is no field of a letter.")
    return said


def _properties(said: dict[str, Any]) -> Properties:
    given = said.get("properties", {})
    if not isinstance(given, dict):
        raise _FlawError("properties is no JSON object.")
    for name, value in given.items():
        if name not in _PROPERTIES:
            raise _FlawError(f"{printable(name)} is no property of a message.")
        if name not in _LARGEST:
            _text(name, value)
        elif type(value) is not int or not 0 <= value <= _LARGEST[name]:
            raise _FlawError(f"{name} is no whole number from 0 to {_LARGEST[name]}.")
    return Properties(headers=_headers(said), **given)


def _headers(said: dict[str, Any]) -> Headers:
    if "headersBase64" in said:
        return Headers(_bytes("headersBase64", said["headersBase64"]))
    given = said.get("headers", {})
    if not isinstance(given, dict) or not all(isinstance(text, str) for text in given.values()):
        raise _FlawError("headers is no JSON object of texts.")
    for name in given:
        _text("a header's name", name)
    return Headers.of(given)


def _body(said: dict[str, Any]) -> bytes:
    if "bodyBase64" in said:
        return _bytes("bodyBase64", said["bodyBase64"])
    text = said.get("body")
    if not isinstance(text, str):
        raise _FlawError("body is missing, or no text.")
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise _FlawError("body has half of a surrogate pair, which is no text.") from None


def _text(name: str, value: object) -> str:
    """A text that AMQP can carry where it wants a short string."""
    try:
        size = len(str(value).encode(errors="surrogateescape"))
    except UnicodeEncodeError:  # half of a pair, which stands for no byte of a name
        size = _SHORT_STRING_BYTES + 1
    if isinstance(value, str) and size <= _SHORT_STRING_BYTES:
        return value
    raise _FlawError(f"{name} is no text of at most {_SHORT_STRING_BYTES} bytes.")


def _bytes(name: str, value: object) -> bytes:
    try:
        return b64decode(str(value), validate=True)
    except ValueError:
        raise _FlawError(f"{name} is no base64.") from None
