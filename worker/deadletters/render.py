"""Times, counts and columns of text for a terminal."""

from __future__ import annotations

import textwrap
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NARROWEST: Final = 20
"""Columns of text below which it is not worth to go on below itself."""
CONTINUED: Final = 4
"""Columns that the rest of a line is indented by."""
_SECOND, _MINUTE, _HOUR, _DAY = 1, 60, 3600, 86400
_UNITS: Final = ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "m"), (_SECOND, "s"))


def age(since: datetime | None, now: datetime) -> str:
    """How long ago, in the largest unit that has gone round twice: ``119s``, ``2m``, ``47h``."""
    if since is None:
        return "?"
    seconds = max(0, int((now - since) / timedelta(seconds=1)))
    for size, unit in _UNITS:
        if seconds >= 2 * size or size == _SECOND:
            return f"{seconds // size}{unit}"
    return "?"


def moment(when: datetime | None) -> str:
    """A time for people: UTC, to the second."""
    return "?" if when is None else when.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def stamp(when: datetime | None) -> str | None:
    """A time for machines: RFC 3339 in UTC, to the millisecond."""
    if when is None:
        return None
    return when.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def counted(number: int, what: str = "dead letter") -> str:
    """``1 dead letter``, ``2 dead letters``."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def columns(
    rows: Sequence[Sequence[str]],
    right: frozenset[int] = frozenset(),
    width: int | None = None,
) -> Iterator[str]:
    """Rows as lines, each column as wide as its widest text; the `right` ones end flush.

    Where a line would be wider than `width`, its last cell goes on below itself; where there is
    no room for that either, the whole row goes on in the next line.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    before = sum(widths[:-1]) + 2 * (len(widths) - 1)
    for row in rows:
        cells = [
            text.rjust(width_) if number in right else text.ljust(width_)
            for number, (text, width_) in enumerate(zip(row, widths, strict=True))
        ]
        line = "  ".join(cells).rstrip()
        if width is not None and len(line) > width < before + NARROWEST:
            yield from fitted("  ".join(cell for cell in row if cell), width)
        else:
            yield from fitted(line, width, before)


def fitted(line: str, width: int | None, indent: int | None = None) -> list[str]:
    """A line broken so that each part fits; all but the first are indented, None: a bit more."""
    if width is None or len(line) <= width:
        return [line]
    if indent is None:
        indent = len(line) - len(line.lstrip()) + CONTINUED
    return textwrap.wrap(
        line,
        width,
        subsequent_indent=" " * min(indent, width // 2),
        break_on_hyphens=False,
        drop_whitespace=True,
    )


def plain(text: str, at_most: int = 2000) -> str:
    """A text of unknown origin that cannot steer a terminal; line breaks and tabs stay."""
    shown = "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text[:at_most])
    return shown if len(text) <= at_most else f"{shown}…"
