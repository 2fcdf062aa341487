"""Tables in Markdown, and numbers as people read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SMALL = 10
_TINY = 1


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; all but the first column are numbers, and set to the right."""
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    return "\n".join(lines)


def number(value: float) -> str:
    """1,234 or 12 or 3.4 or 0.56."""
    if abs(value) < _TINY:
        return f"{value:.2f}"
    return f"{value:.1f}" if abs(value) < _SMALL else f"{value:,.0f}"


def percent(share: float) -> str:
    """97.3%."""
    return f"{share * 100:.1f}%"


def times(ratio: float) -> str:
    """× 3.52."""
    return f"× {ratio:.2f}"


def milliseconds(seconds: float) -> str:
    """50 ms, 2 s."""
    return f"{seconds * 1e3:.0f} ms" if seconds < _TINY else f"{seconds:.0f} s"
