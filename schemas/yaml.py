"""JSON values written as YAML that people like to read.

Only what a document of ours needs: block style, long texts folded, no anchors, no tags. That
the contract needs pydantic and nothing else is worth these lines.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap
from typing import Final

Value = str | int | bool | None | Sequence["Value"] | Mapping[str, "Value"]
"""What JSON can hold, numbers with a fraction excepted: YAML's versions differ on those.
A key has fewer than a thousand characters, which is YAML's own limit."""

_COLUMNS: Final = 96
_INDENT: Final = "  "

_PLAIN = re.compile(r"[A-Za-z$/_][A-Za-z0-9_./-]*( [A-Za-z0-9_./(][A-Za-z0-9_./,;'()-]*)*")
_READ_AS_OTHER: Final = frozenset(("true", "false", "null", "yes", "no", "on", "off", "y", "n"))
_FOLDABLE = re.compile(r"[^ \n]+( [^ \n]+)*")
_LITERAL = re.compile(r"[^ \n][^\n]*(\n+ *[^ \n][^\n]*)*")
_FOUR_DIGITS: Final = 0xFFFF


def yaml(value: Value) -> str:
    """Return the value as a YAML document, which YAML 1.1 and 1.2 read alike; order is kept."""
    lines = _block(value, "") if _is_block(value) else [_scalar(value)]
    return "\n".join(lines) + "\n"


def _is_block(value: Value) -> bool:
    return isinstance(value, Mapping | Sequence) and not isinstance(value, str) and bool(value)


def _block(value: Value, indent: str) -> Iterator[str]:
    """Yield the lines of a mapping or a sequence that is not empty."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            first, *rest = _after(inner, indent + _INDENT)
            yield f"{indent}{_scalar(key)}:{first}"
            yield from rest
    elif isinstance(value, Sequence):
        for item in value:
            # A mapping begins beside its dash.
            written = _block if _is_block(item) else _after
            first, *rest = written(item, indent + _INDENT)
            yield f"{indent}- {first.strip()}"
            yield from rest


def _after(value: Value, indent: str) -> Iterator[str]:
    """Yield what stands after a key's colon or a dash, and the lines below."""
    if _is_block(value):
        yield ""
        yield from _block(value, indent)
    elif isinstance(value, str) and (len(indent) + len(value) > _COLUMNS or "\n" in value):
        yield from _long(value, indent)
    else:
        yield f" {_scalar(value)}"


def _long(text: str, indent: str) -> list[str]:
    """Return a text as a block of lines if it can be one."""
    if not all(c.isprintable() or c == "\n" for c in text):
        return [f" {_quoted(text)}"]
    if _FOLDABLE.fullmatch(text):
        width = max(_COLUMNS - len(indent), _COLUMNS // 2)
        lines = wrap(text, width, break_long_words=False, break_on_hyphens=False)
        return [" >-", *(indent + line for line in lines)]
    if _LITERAL.fullmatch(text):
        return [" |-", *(indent + line if line else "" for line in text.split("\n"))]
    return [f" {_quoted(text)}"]


def _scalar(value: Value) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    plain = _PLAIN.fullmatch(value) and value.lower() not in _READ_AS_OTHER
    return value if plain else _quoted(value)


def _quoted(text: str) -> str:
    """Return the text in double quotes, where YAML takes JSON's escapes."""
    escaped = (c if c.isprintable() else _escape(c) for c in json.dumps(text, ensure_ascii=False))
    return "".join(escaped)


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code <= _FOUR_DIGITS else f"\\U{code:08x}"
