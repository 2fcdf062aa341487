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
    parts, workers = found["parts"], found["workers"]
    rows: list[tuple[str, ...]] = [
        _floor_row("our client's call alone", lambda name: parts[f"own_{name}"], workers),
        _floor_row("the stock adapter's call alone", lambda name: parts[f"stock_{name}"], workers),
        _floor_row("consume → publish with confirm → ack alone", lambda _: parts["relay"], workers),
        _floor_row("**the worker, everything on**", lambda name: workers[name]["cpu"], workers),
    ]
    for title, which in (("our call", "own"), ("the stock adapter's", "stock")):
        ratios = (
            times(of["cpu"] / (parts[f"{which}_{name}"] + parts["relay"]))
            for name, of in workers.items()
        )
        rows.append((f"the worker ÷ ({title} + relaying)", *ratios))
    head = ("CPU µs a message", *(f"API at {name} ms" for name in workers))
    words = f"{found['at_once']} calls in flight in each case."
    if "own_one" in parts:
        words += f" From a single thread, at 0 ms, our call takes {number(parts['own_one'])} µs and"
        words += f" the stock adapter's {number(parts['stock_one'])} µs."
    return f"{words}\n\n{table(head, rows)}"


def _floor_row(title: str, of: Callable[[str], float], workers: Found) -> tuple[str, ...]:
    return (title, *(number(of(name)) for name in workers))


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


def scale(found: Found) -> str:
    """What grows with the number of accounts."""
    rows = [
        (
            f"{row['accounts']:,}" + (f" in {row['processes']}" if row["processes"] > 1 else ""),
            f"{row['start']:.1f} s",
            number(row["resident"]),
            number(row["peak"]),
            f"{row['idle_percent']:.1f}%",
            f"{row['load_percent']:.0f}%",
            row["threads"],
            f"{row['metrics'] / 1e6:.1f} MB, {row['metrics_seconds']:.2f} s",
            f"{row['reload']:.1f} s",
            f"{row['applied']:,} of {row['wanted']:,}, {row['refused']} refused",
        )
        for row in found["rows"]
    ]
    head = (
        "accounts",
        "start",
        "MiB idle",
        "MiB peak",
        "CPU idle",
        "CPU under load",
        "threads",
        "`/metrics`",
        "reload",
        "edits",
    )
    words = (
        f"{found['edits']} edits of each account at {found['rate']}/s, its limit. Several processes"
        " share the accounts, and the figures are of all together."
    )
    return f"{words}\n\n{table(head, rows)}"


def replicas(found: Found) -> str:
    """One replica and several, and what each party takes of the machine."""
    one = found["rows"][0]["rate"]
    rows = [
        (
            row["replicas"],
            number(row["rate"]),
            times(row["rate"] / one),
            *(number(row[who]) for who in ("ours", "broker", "api")),
            f"{row['busy']:.1f} of {found['cores']}",
            ", ".join(map(str, row["served"])),
        )
        for row in found["rows"]
    ]
    head = (
        "replicas",
        "edits/s",
        "ratio",
        "CPU µs an edit: replicas",
        "RabbitMQ",
        "API",
        "cores in use",
        "lanes of each",
    )
    words = (
        f"{found['accounts']} accounts without a limit, RabbitMQ 4.0. All share the machine: once"
        " its cores are in use, what more replicas bring is what they take from each other."
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
