"""What the figures have to show (ratios in one run), and whether they do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.bench.report.table import number, percent, table, times

if TYPE_CHECKING:
    from collections.abc import Iterator

Found = dict[str, Any]
OTHERS = ("faststream-requests", "celery", "dramatiq")


@dataclass(frozen=True, slots=True)
class Goal:
    """One thing to be shown."""

    what: str
    wanted: str
    shown: str
    met: bool


def goals(found: dict[str, Found]) -> list[Goal]:
    """All goals of which there are figures; `found` by section."""
    sections = {
        "throughput": _throughput,
        "floor": _floor,
        "limit": _limit,
        "latency": _latency,
        "backlog": _backlog,
        "accounts": _accounts,
        "start": _start,
    }
    return [
        goal for name, judged in sections.items() if name in found for goal in judged(found[name])
    ]


def as_table(of: list[Goal]) -> str:
    """The goals as a Markdown table."""
    rows = [(goal.what, goal.wanted, goal.shown, "yes" if goal.met else "**no**") for goal in of]
    return table(("goal", "wanted", "measured", "met"), rows)


def _throughput(found: Found) -> Iterator[Goal]:
    for scene in found["scenes"]:
        rows = {row["name"]: row for row in scene["rows"]}
        ours, aiohttp = rows["ours"], rows[found["reference"]]
        case = (scene["latency"] > 0, scene["concurrency"])
        where = f"{scene['latency'] * 1e3:.0f} ms, {scene['concurrency']} in flight"
        if case == (False, 64):
            yield _least(f"rate ÷ FastStream with aiohttp, {where}", _over(ours, aiohttp), 3.5)
            for name in OTHERS:
                what = f"rate ÷ {rows[name]['title']}, {where}"
                yield _least(what, _over(ours, rows[name]), 6)
        elif case == (True, 64):
            share = ours["rate"] / scene["allowed"]
            yield Goal(
                f"share of what latency allows, {where}", "≥ 95%", percent(share), share >= 0.95
            )
        else:
            yield _least(f"rate ÷ FastStream with aiohttp, {where}", _over(ours, aiohttp), 2.5)
        most = 0.4 if scene["latency"] else 0.3
        ratio = ours["cpu"] / aiohttp["cpu"] if aiohttp["cpu"] else 0.0
        yield _most(f"CPU ÷ FastStream with aiohttp, {where}", ratio, most)
        peak = ours["peak"]
        megabytes = peak * 1024**2 / 1e6
        yield Goal(
            f"memory under load, {where}", "≤ 70 MB", f"{number(megabytes)} MB", megabytes <= 70
        )


def _floor(found: Found) -> Iterator[Goal]:
    parts = found["parts"]
    for name, worker in found["workers"].items():
        ratio = worker["cpu"] / (parts[f"own_{name}"] + parts["relay"])
        yield _most(f"CPU ÷ floor of our own parts, {name} ms", ratio, 1.6)


def _limit(found: Found) -> Iterator[Goal]:
    for row in (row for row in found["rows"] if row["contestant"].startswith("task-edit")):
        shown = f"{percent(row['used'])}, {row['refused']} refused"
        met = row["used"] >= 0.97 and not row["refused"]
        yield Goal(f"limit of {row['rate']}/s", "≥ 97%, 0 refused", shown, met)


def _latency(found: Found) -> Iterator[Goal]:
    for name, what in (("idle", "latency at idle"), ("long", "latency after long idleness")):
        p50, p99 = found[name]["p50"], found[name]["p99"]
        shown = f"{p50:.2f} ms, {p99:.2f} ms"
        yield Goal(f"{what}, p50 and p99", "≤ 3 ms, ≤ 10 ms", shown, p50 <= 3 and p99 <= 10)


def _backlog(found: Found) -> Iterator[Goal]:
    first, last = found["rows"][0], found["rows"][-1]
    rate, memory = last["rate"] / first["rate"], last["resident"] / first["resident"]
    what = f"{last['backlog']:,} waiting edits against {first['backlog']:,}"
    yield Goal(f"{what}: rate", "≥ 95%", percent(rate), rate >= 0.95)
    yield Goal(f"{what}: memory", "≤ 110%", percent(memory), memory <= 1.1)


def _accounts(found: Found) -> Iterator[Goal]:
    *_, whole, stalled = found["rows"]
    what = f"{whole['accounts']} accounts"
    slowest = whole["slowest"]
    yield Goal(
        f"{what}: the slowest's share of its rate", "≥ 97%", percent(slowest), slowest >= 0.97
    )
    change = max(
        abs(stalled[which] / whole[which] - 1) for which in ("median", "slowest") if whole[which]
    )
    yield Goal(f"{what}: change by one that hangs", "< 5%", percent(change), change < 0.05)


def _start(found: Found) -> Iterator[Goal]:
    start, idle = found["start"], found["idle_percent"]
    yield Goal("start to first edit applied", "< 1.5 s", f"{start:.2f} s", start < 1.5)
    yield Goal("CPU when idle", "< 0.5%", f"{idle:.2f}%", idle < 0.5)


def _over(ours: Found, theirs: Found) -> float:
    return float(ours["rate"] / theirs["rate"]) if theirs["rate"] else 0.0


def _least(what: str, ratio: float, wanted: float) -> Goal:
    return Goal(what, f"≥ {wanted} ×", times(ratio), ratio >= wanted)


def _most(what: str, ratio: float, wanted: float) -> Goal:
    return Goal(what, f"≤ {wanted} ×", times(ratio), ratio <= wanted)
