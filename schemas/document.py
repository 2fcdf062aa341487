"""A message's body, read as one JSON document.

Stricter than `json` by itself, which takes duplicate keys, NaN and lone surrogates, raises a
bare ValueError for input made to hurt, and recurses as deep as the Python at hand allows. Here
whatever cannot be read becomes a `Malformed` that says why and where, without quoting what the
body holds.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final, NoReturn

BODY_BYTES_AT_MOST: Final = 64 * 1024
LEVELS_AT_MOST: Final = 32
"""How deep objects and lists may be nested; the document itself is level one."""

_KEY_CHARACTERS_SHOWN: Final = 40
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Malformed:
    """The body cannot be read as an edit. `detail` is one English sentence, without content."""

    detail: str


class _UnreadableError(Exception):
    """Leaves the JSON scanner's callbacks; its text is the detail. Never leaves this module."""


def read(body: bytes) -> dict[str, Any] | Malformed:
    """Return the JSON object that the body holds, or why there is none (`ops/docs/contract.md`)."""
    try:
        document = _parsed(_text(body))
    except _UnreadableError as error:
        return Malformed(str(error))
    if isinstance(document, dict):
        return document
    return Malformed(f"The body is {kind_of(document)}, not a JSON object.")


def kind_of(value: object) -> str:
    """Return what sort of JSON value it is, in a publisher's words."""
    return _KINDS.get(type(value), "an object")


def printable(text: str, at_most: int = _KEY_CHARACTERS_SHOWN) -> str:
    """Return a name of unknown origin, short and without control characters, to show in a text."""
    shown = "".join(c if c.isprintable() else "?" for c in text[: at_most + 1])
    return shown if len(shown) <= at_most else shown[: at_most - 1] + "…"


def too_deep_at(text: str, levels: int = LEVELS_AT_MOST) -> int | None:
    """Return where JSON opens more than that many levels, or None; the text may be broken.

    Counted before the text is parsed: from Python 3.14 on the parser no longer raises
    RecursionError at a fixed depth.
    """
    # Most edits have few brackets: only the others pay for a closer look.
    if text.count("{") + text.count("[") <= levels:
        return None
    level = 0
    for found in _BRACKET_OR_TEXT.finditer(text):
        begins = text[found.start()]
        if begins in "[{":
            level += 1
            if level > levels:
                return found.start()
        elif begins in "]}":
            level -= 1
    return None


def _text(body: bytes) -> str:
    """Return the body as text, or raise `_UnreadableError`."""
    if not body:
        raise _UnreadableError("The body is empty.")
    if len(body) > BODY_BYTES_AT_MOST:
        raise _UnreadableError(f"The body has more than {BODY_BYTES_AT_MOST} bytes.")
    if body.startswith(_BYTE_ORDER_MARK):
        raise _UnreadableError("The body starts with a byte order mark; leave it out.")
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise _UnreadableError(f"The body is not UTF-8 at byte {error.start}.") from None


def _parsed(text: str) -> object:
    """Return the JSON value, or raise `_UnreadableError`."""
    if too_deep_at(text) is not None:
        raise _UnreadableError(f"The body is nested deeper than {LEVELS_AT_MOST} levels.")
    try:
        document: object = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        what = error.msg.lower().removesuffix(" at")
        where = f"at line {error.lineno} column {error.colno}"
        raise _UnreadableError(f"The body is not JSON: {what} {where}.") from None
    except ValueError:  # Python refuses to convert integers of some thousands of digits
        raise _UnreadableError("The body has a number with far too many digits.") from None
    if "\\ud" in text or "\\uD" in text:
        _refuse_lone_surrogates(document)
    return document


def _refuse_lone_surrogates(document: object) -> None:
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise _UnreadableError("The body has half of a surrogate pair, which is no text.") from None


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object as `json` does, unless a key comes twice, which RFC 8259 leaves open."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        [(twice, _)] = Counter(key for key, _ in pairs).most_common(1)
        raise _UnreadableError(f'The body has the key "{printable(twice)}" more than once.')
    return fields


def _refuse_constant(name: str) -> NoReturn:
    raise _UnreadableError(f"The body has {name}, which is not JSON.")


_KINDS: Final[dict[type, str]] = {
    type(None): "null",
    bool: "true or false",
    int: "a whole number",
    float: "a number with a fraction or an exponent",
    str: "text",
    list: "a list",
}
_BRACKET_OR_TEXT: Final = re.compile(r'[\[\]{}]|"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_refuse_duplicates, parse_constant=_refuse_constant
)
