"""Bars in SVG, by hand: what each contestant made of the same work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from tests.bench.report.table import milliseconds, number

if TYPE_CHECKING:
    from collections.abc import Iterator

Found = dict[str, Any]

_WIDTH, _COLUMNS, _GAP = 960, 2, 40
_PANEL = (_WIDTH - _GAP * (_COLUMNS + 1)) / _COLUMNS
_LABELS, _VALUES = 190, 62
_BAR, _PITCH = 16, 24
_TITLE, _TOP = 44, 70
_INK, _PALE, _OURS, _THEIRS = "#1f2328", "#59636e", "#0b6e4f", "#a7b1bb"


@dataclass(frozen=True, slots=True)
class Panel:
    """One comparison: a title, a note, and a bar for each."""

    title: str
    note: str
    bars: tuple[tuple[str, float, bool], ...]
    """Label, value, whether it is ours."""

    @property
    def height(self) -> float:
        """How much room it takes."""
        return _TITLE + len(self.bars) * _PITCH


def chart(throughput: Found) -> str:
    """The whole picture, from the section of that name."""
    panels = list(_panels(throughput))
    rows = [panels[at : at + _COLUMNS] for at in range(0, len(panels), _COLUMNS)]
    heights = [max(panel.height for panel in row) + _GAP for row in rows]
    parts = [
        _text(_GAP, 34, "One process each, the same edits, the same RabbitMQ", 20, bold=True),
        _text(
            _GAP,
            54,
            "consume → validate → sign → POST → publish the event, confirmed → ack",
            13,
            _PALE,
        ),
    ]
    top = float(_TOP)
    for row, height in zip(rows, heights, strict=True):
        for column, panel in enumerate(row):
            parts += _drawn(panel, _GAP + column * (_PANEL + _GAP), top)
        top += height
    size = f'width="{_WIDTH}" height="{top:.0f}" viewBox="0 0 {_WIDTH} {top:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img"'
    style = 'font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif"'
    label = 'aria-label="Throughput and CPU of the task-edit worker beside its peers"'
    white = f'<rect width="{_WIDTH}" height="{top:.0f}" fill="#ffffff"/>'
    return "\n".join((f"{head} {style} {label}>", white, *parts, "</svg>", ""))


def _panels(throughput: Found) -> Iterator[Panel]:
    for scene in throughput["scenes"]:
        where = f"API at {milliseconds(scene['latency'])}, {scene['concurrency']} in flight"
        yield Panel(f"Messages a second: {where}", "more is better", _bars(scene, "rate"))
        yield Panel(f"CPU µs a message: {where}", "less is better", _bars(scene, "cpu"))


def _bars(scene: Found, which: str) -> tuple[tuple[str, float, bool], ...]:
    return tuple((row["title"], row[which], row["name"] == "ours") for row in scene["rows"])


def _drawn(panel: Panel, left: float, top: float) -> Iterator[str]:
    yield _text(left, top + 16, panel.title, 14, bold=True)
    yield _text(left, top + 32, panel.note, 12, _PALE)
    most = max((value for _, value, _ in panel.bars), default=0.0) or 1.0
    room = _PANEL - _LABELS - _VALUES
    for number_of, (label, value, ours) in enumerate(panel.bars):
        y = top + _TITLE + number_of * _PITCH
        width = max(1.0, value / most * room)
        colour = _OURS if ours else _THEIRS
        baseline = y + _BAR - 4
        yield _text(left + _LABELS - 8, baseline, label, 12, end=True, bold=ours)
        yield (
            f'<rect x="{left + _LABELS:.1f}" y="{y:.1f}" width="{width:.1f}" height="{_BAR}"'
            f' rx="2" fill="{colour}"/>'
        )
        yield _text(left + _LABELS + width + 6, baseline, number(value), 12, bold=ours)


def _text(
    x: float,
    y: float,
    words: str,
    size: int,
    colour: str = _INK,
    *,
    bold: bool = False,
    end: bool = False,
) -> str:
    weight = ' font-weight="600"' if bold else ""
    anchor = ' text-anchor="end"' if end else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}"{weight}{anchor}>'
        f"{escape(words)}</text>"
    )
