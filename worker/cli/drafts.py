"""Drafts: the edits that a file holds, and the messages that they are published as.

A file is one edit, a JSON list of edits, or JSON Lines. Nothing is parsed for good here: each
draft keeps its bytes as they stand in the file, so that what `schemas.read` says of them is what
the worker would say.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from schemas import Bounds, Invalid, Malformed, TaskEdit, read, validate
from schemas.document import too_deep_at
from schemas.names import JSON_CONTENT_TYPE, edit_key
from worker.apply.results import edit_in
from worker.core.message import PERSISTENT, Properties, Publication

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from schemas import Names

Checked = TaskEdit | Invalid | Malformed

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_LINES: Final = (".jsonl", ".ndjson")
_LEVELS_AT_MOST: Final = 500
"""Of a list: what is deeper is not looked into, for each Python gives up somewhere else."""
_SPACE: Final = re.compile(r"[ \t\r\n]*")
_SCAN: Final = json.JSONDecoder(parse_int=str, parse_float=str)
"""Only looks where a value ends: whether it is any good is for `schemas.read` to say."""


@dataclass(frozen=True, slots=True)
class Draft:
    """One edit of a file: where it begins, and its bytes."""

    file: str
    line: int
    """From 1."""
    body: bytes
    flaw: str | None = None
    """Why the file cannot be taken apart from here on: one sentence."""


def drafts(file: str, content: bytes) -> Iterator[Draft]:
    """The edits in a file's content, in order; none when there is nothing but white space.

    Of a line that `taskedit apply` wrote into its failures it is the edit in it.
    """
    for draft in _cut(file, content):
        yield replace(draft, body=edit_in(draft.body))


def _cut(file: str, content: bytes) -> Iterator[Draft]:
    content = content.removeprefix(_BYTE_ORDER_MARK)
    if not content.strip():
        return
    if file.endswith(_LINES):
        yield from _lines(file, content)
    elif content.lstrip().startswith(b"["):
        yield from _listed(file, content)
    elif _has_an_edit_a_line(content):
        yield from _lines(file, content)
    else:
        before = len(content) - len(content.lstrip())
        yield Draft(file, 1 + content.count(b"\n", 0, before), content.strip())


def checked(draft: Draft, bounds: Bounds) -> Checked:
    """The edit that the draft is, or what is wrong with it."""
    if draft.flaw is not None:
        return Malformed(draft.flaw)
    document = read(draft.body)
    return document if isinstance(document, Malformed) else validate(document, bounds)


def _lines(file: str, content: bytes) -> Iterator[Draft]:
    for number, line in enumerate(content.split(b"\n"), start=1):
        if body := line.strip():
            yield Draft(file, number, body)


def _has_an_edit_a_line(content: bytes) -> bool:
    """Whether it is JSON Lines, also when some of them are broken.

    Of an edit that is laid out over several lines only the first begins with the brace.
    """
    lines = [line for line in content.split(b"\n") if line.strip()]
    if _is_json(content):
        return False
    return _is_json(lines[0]) or sum(line.startswith(b"{") for line in lines) > 1


def _is_json(content: bytes) -> bool:
    try:
        _SCAN.decode(content.decode())
    except (ValueError, RecursionError):
        return False
    return True


def _listed(file: str, content: bytes) -> Iterator[Draft]:
    """The items of a JSON list, cut out of it as they are written."""
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = 1 + content.count(b"\n", 0, error.start)
        yield Draft(file, line, b"", f"The file is not UTF-8 at byte {error.start}.")
        return
    deep = too_deep_at(text, _LEVELS_AT_MOST)
    text = text[:deep]
    line, counted, more = 1, 0, True
    at = _past_space(text, text.index("[") + 1)
    if text[at : at + 1] == "]":
        return
    while more:
        line, counted = line + text.count("\n", counted, at), at
        end, flaw = _end(text, at)
        if flaw is not None and deep is not None:
            flaw = "The file is nested too deep to be read from here on."
        yield Draft(file, line, text[at:end].encode(), flaw)
        at = _past_space(text, end)
        more = text[at : at + 1] == "," and flaw is None
        if flaw is None and not (more or text[at:].strip() == "]"):
            line += text.count("\n", counted, at)
            yield Draft(file, line, b"", "The list of edits has no comma here, and does not end.")
        at = _past_space(text, at + 1)


def _past_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _end(text: str, at: int) -> tuple[int, str | None]:
    """Where the value that begins at `at` ends, and what is wrong if that cannot be told."""
    try:
        return _SCAN.raw_decode(text, at)[1], None
    except json.JSONDecodeError as error:
        what = error.msg.lower().removesuffix(" at")
        where = f"line {error.lineno} column {error.colno}"
        return len(text), f"The file is not JSON: {what} at {where}."


@dataclass(frozen=True, slots=True)
class Addressed:
    """A draft, the edit in it, and the message that carries it."""

    draft: Draft
    edit: TaskEdit
    message_id: str
    publication: Publication


@dataclass(frozen=True, slots=True)
class Address:
    """Where edits go: to the exchange by their appId, or straight to an account's lane."""

    names: Names
    bounds: Bounds
    account: str | None = None
    prefix: str | None = None
    """What message ids begin with, before a running number; without it they are random."""

    def addressed(self, good: Iterable[tuple[Draft, TaskEdit]]) -> list[Addressed]:
        """Each draft with its message. The body is the draft's, byte for byte."""
        return [self._one(*each, number) for number, each in enumerate(good, start=1)]

    def _one(self, draft: Draft, edit: TaskEdit, number: int) -> Addressed:
        message_id = str(uuid4()) if self.prefix is None else f"{self.prefix}{number}"
        properties = Properties(
            content_type=JSON_CONTENT_TYPE,
            delivery_mode=PERSISTENT,
            message_id=message_id,
            timestamp=int(time.time()),
        )
        exchange, key = self.names.exchange, edit_key(edit.appId or self.bounds.sole_app_id)
        if self.account is not None:
            exchange, key = "", self.names.lane(self.account)
        return Addressed(
            draft, edit, message_id, Publication(exchange, key, draft.body, properties)
        )
