"""Each section in words and tables, from what it has saved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.bench.report.table import milliseconds, number, percent, table, times

if TYPE_CHECKING:
    from collections.abc import Callable

Found = dict[str, Any]

_SIDE_BY_SIDE = (
    *("", "messages/s", "ratio", "CPU µs a message", "ratio", "peak MiB"),
    *("RabbitMQ's CPU µs", "events missing"),
)


def throughput(found: Found) -> str:
    """Side by side."""
    parts = [
        (
            f"Medians of {found['rounds']} rounds, in each of which all ran in turn. A run counts"
            " from 10% to 90% of its messages: neither start nor end. CPU is user and system time"
            " of the contestant's processes. Celery and Dramatiq have 8 threads at 0 ms, with which"
            " they do best there. Every event was looked for in the journal afterwards."
        )
    ]
    for scene in found["scenes"]:
        reference = next(row for row in scene["rows"] if row["name"] == found["reference"])
        title = f"API at {milliseconds(scene['latency'])}, {scene['concurrency']} in flight"
        if scene["allowed"]:
            title += f" (latency allows {number(scene['allowed'])}/s)"
        rows = [
            (
                _bold(row),
                number(row["rate"]),
                _ratio(row["rate"], reference["rate"]),
                number(row["cpu"]),
                _ratio(row["cpu"], reference["cpu"]),
                number(row["peak"]),
                number(row["broker_cpu"]),
                row["missing"],
            )
            for row in scene["rows"]
        ]
        parts += [f"### {title}", table(_SIDE_BY_SIDE, rows)]
        parts += [f"{row['title']}: {row['trouble']}" for row in scene["rows"] if row["trouble"]]
    return "\n\n".join(parts)


def floor(found: Found) -> str:
    """The parts alone."""
    worker, parts = found["worker"]["cpu"], found["parts"]
    rows = [
        ("our client's call alone, one thread", number(parts["own_1"])),
        ("the same from 16 threads", number(parts["own_16"])),
        ("the stock adapter's call alone, one thread", number(parts["stock_1"])),
        ("the same from 16 threads", number(parts["stock_16"])),
        ("consume → publish with confirm → ack alone", number(parts["relay"])),
        ("**floor**: the cheaper of our calls, and relaying", number(found["floor"])),
        ("floor with the stock adapter", number(found["stock_floor"])),
        ("**the worker, everything switched on**", number(worker)),
        ("the worker ÷ floor", times(worker / found["floor"])),
        ("the worker ÷ floor with the stock adapter", times(worker / found["stock_floor"])),
    ]
    return table(("at 0 ms", "CPU µs a message"), rows)


def limit(found: Found) -> str:
    """Shares of limits."""
    rows = [
        (
            row["contestant"],
            f"{row['rate']}/s",
            percent(row["used"]),
            number(row["calls"]),
            row["refused"],
            row["fullest"],
        )
        for row in found["rows"]
    ]
    head = ("", "limit", "used", "calls", "refused", "fullest second")
    words = (
        f"{found['seconds']:.0f} s each, against a server that lets no sliding second hold more"
        " than the limit and takes 50 ms and an exponential jitter of 20 ms to answer."
    )
    return f"{words}\n\n{table(head, rows)}"


def latency(found: Found) -> str:
    """At idle."""
    names = {
        "idle": "the worker, an edit every 50 to 150 ms",
        "long": f"the worker after {found['seconds']:.0f} s of idleness",
        "broker": "for comparison: through a quorum queue and back, no worker",
    }
    rows = [
        (
            title,
            *(f"{found[name][which]:.2f}" for which in ("p50", "p99", "max")),
            found[name]["count"],
        )
        for name, title in names.items()
    ]
    words = "Publish → event, less the API's own time, in milliseconds."
    return f"{words}\n\n{table(('', 'p50', 'p99', 'largest', 'edits'), rows)}"


def growth(found: Found) -> str:
    """What must not grow."""
    columns = ("messages/s", "CPU µs a message", "peak MiB")

    def rows(which: str, title: Callable[[Found], str]) -> list[tuple[str, ...]]:
        return [
            (title(row), *(number(row[name]) for name in ("rate", "cpu", "peak")))
            for row in found[which]
        ]

    def slow(row: Found) -> str:
        allowed = f" (allows {number(row['allowed'])}/s)" if row["allowed"] else ""
        return f"{milliseconds(row['latency'])}, {row['concurrency']} in flight{allowed}"

    return "\n\n".join(
        (
            table(("jobs", *columns), rows("jobs", lambda row: f"{row['jobs']:,}")),
            table(("message", *columns), rows("sizes", lambda row: f"{row['kib']} KiB")),
            table(("the API's latency", *columns), rows("latencies", slow)),
            "One job means one call after the other: each waits for the ack of the one before.",
        )
    )


def backlog(found: Found) -> str:
    """Edits that wait."""
    rows = [
        (
            f"{row['backlog']:,}",
            number(row["rate"]),
            number(row["cpu"]),
            number(row["resident"]),
            number(row["peak"]),
        )
        for row in found["rows"]
    ]
    head = ("edits waiting", "messages/s", "CPU µs a message", "resident MiB", "peak MiB")
    return table(head, rows)


def accounts(found: Found) -> str:
    """Accounts side by side."""
    rows = [
        (
            f"{row['accounts']}{', one of them hanging' if row['stalled'] else ''}",
            percent(row["median"]),
            percent(row["slowest"]),
            row["refused"],
            f"{row['applied']:,} of {row['wanted']:,}",
            f"{row['cpu_percent']:.1f}%",
            number(row["peak"]),
        )
        for row in found["rows"]
    ]
    head = ("accounts", "median of the rate", "slowest", "refused", "applied", "CPU", "peak MiB")
    words = (
        f"{found['edits']} edits each at {found['rate']}/s; an account that hangs is not counted."
    )
    return f"{words}\n\n{table(head, rows)}"


def start(found: Found) -> str:
    """Small things."""
    rows = [
        ("process start → first edit applied", f"{found['start']:.2f} s"),
        ("CPU when idle", f"{found['idle_percent']:.2f}%"),
        ("resident when idle", f"{number(found['idle_resident'])} MiB"),
        ("installed, Python and pip aside", f"{number(found['installed'])} MiB"),
        ("of that, this project", f"{number(found['own'])} MiB"),
    ]
    return table(("", ""), rows)


def _bold(row: Found) -> str:
    return f"**{row['title']}**" if row["name"] == "ours" else str(row["title"])


def _ratio(value: float, reference: float) -> str:
    return times(value / reference) if reference else "–"
