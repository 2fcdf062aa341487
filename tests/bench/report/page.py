"""RESULTS.md as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench.report import parts
from tests.bench.report.chart import chart
from tests.bench.report.goals import as_table, goals

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).resolve().parents[1]
TITLES = {
    "throughput": "Side by side",
    "floor": "The floor: our parts alone",
    "limit": "The limit",
    "latency": "Latency when idle",
    "growth": "Growth",
    "backlog": "A backlog",
    "accounts": "Accounts",
    "scale": "A thousand accounts",
    "replicas": "Replicas",
    "start": "Start, idleness, size",
}
SECTIONS = tuple(TITLES)
_INTRO = """\
Made by `make bench` (`python -m tests.bench --render` writes this page anew from what was measured
last). Each contestant is one process, set up as its own documentation advises for speed with late
acks and confirms (the reasons, with links, are in [`peers/`](peers/)), and does the same work:
consume from a quorum queue, validate by the same schemas, sign, POST to the same stub of the API
over real sockets, publish the same persistent event to the same exchange with confirm, then ack.
Ours does besides what it always does: it keeps the edits of a job in order, paces, keeps one
deadline for a whole call, remembers repeats, writes a log line an edit, counts metrics, holds a
lease. The broker, the stub and the contestant share the machine.

Where the time goes, what was tried, and why a goal is not met: [`PROFILE.md`](PROFILE.md)."""


def write(saved: dict[str, dict[str, Any]]) -> None:
    """Write page and chart from what the sections have saved."""
    found = {section: kept["found"] for section, kept in saved.items()}
    if "throughput" in found:
        (FOLDER / "chart.svg").write_text(chart(found["throughput"]))
    (FOLDER / "RESULTS.md").write_text("\n\n".join(_paragraphs(saved, found)) + "\n")


def _paragraphs(
    saved: dict[str, dict[str, Any]], found: dict[str, dict[str, Any]]
) -> Iterator[str]:
    yield "# Results"
    yield _INTRO
    if "throughput" in found:
        yield "![Throughput and CPU beside the peers](chart.svg)"
    yield "## Goals"
    yield as_table(goals(found))
    for section, title in TITLES.items():
        if section in found:
            yield f"## {title}"
            yield getattr(parts, section)(found[section])
    yield "## Machine and versions"
    yield from _machines(saved)


def _machines(saved: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Each machine and commit once, with the sections that were measured there."""
    known: dict[str, list[str]] = {}
    for section, kept in saved.items():
        known.setdefault(_machine(kept["machine"]), []).append(f"{section} ({kept['at']})")
    for machine, sections in known.items():
        yield f"{machine}\n- Measured there: {', '.join(sections)}"


def _machine(of: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in of["versions"].items())
    return "\n".join(
        (
            (
                f"- {of['cores']} cores of {of['processor']}, {of['memory']} GB, {of['system']},"
                f" Linux {of['kernel']}; load {of['load']} before the run"
            ),
            f"- Python {of['python']}, RabbitMQ {of['rabbitmq']}; {versions}",
            f"- Commit {of['commit']}",
        )
    )
