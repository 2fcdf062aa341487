"""The bench: `make bench`, or `python -m tests.bench [--only NAME,…] [--rounds N] …`.

Each section is saved under build/bench as it ends, so a run can be taken up again by `--only`
with what is missing, and `--render` writes tests/bench/RESULTS.md from what there is.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from importlib import import_module
from time import monotonic

from tests.bench import machine, saved
from tests.bench.ground import Ground, Options, ground, say
from tests.bench.report import page
from tests.bench.report.goals import goals

QUICK = Options(rounds=1, messages=1000, seconds=5.0, quick=True)
QUICK_SECTIONS = ("throughput", "floor")


def main() -> int:
    """Measure, save, and write the page; 1 if a section came to nothing."""
    asked = _parser().parse_args()
    if asked.quick:
        return _quick()
    failed = [] if asked.render else _measured(_options(asked), asked.only)
    page.write(saved.saved(page.SECTIONS))
    say(f"{page.FOLDER.name}/RESULTS.md is written.")
    return 1 if failed else 0


def _measured(options: Options, sections: tuple[str, ...]) -> list[str]:
    """Measure and save; the sections that failed, which does not hinder the others."""
    failed = []
    with ground(options) as on:
        of = machine.described(on.node)
        for section in sections:
            begun = monotonic()
            try:
                found = _section(section, on)
            except Exception:  # noqa: BLE001 (half an hour's other sections are worth keeping)
                say(traceback.format_exc())
                failed.append(section)
            else:
                saved.save(section, found, of)
            say(f"{section} took {monotonic() - begun:.0f} s")
    return failed


def _section(name: str, on: Ground) -> dict[str, object]:
    found: dict[str, object] = import_module(f"tests.bench.sections.{name}").measure(on)
    return found


def _quick() -> int:
    """Ratios of a minute, printed and not kept; fails on nothing."""
    with ground(QUICK) as on:
        found = {section: _section(section, on) for section in QUICK_SECTIONS}
    lines = [f"{goal.shown:>12}  {goal.what} (goal {goal.wanted})" for goal in goals(found)]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _options(asked: argparse.Namespace) -> Options:
    return Options(asked.rounds, asked.messages, asked.seconds, asked.long)


def _sections(text: str) -> tuple[str, ...]:
    wanted = tuple(text.split(","))
    unknown = [name for name in wanted if name not in page.SECTIONS]
    if unknown:
        message = f"{', '.join(unknown)}: there are {', '.join(page.SECTIONS)}"
        raise argparse.ArgumentTypeError(message)
    return wanted


def _parser() -> argparse.ArgumentParser:
    usual = Options()
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "--only", type=_sections, default=page.SECTIONS, help=f"of {','.join(page.SECTIONS)}"
    )
    parser.add_argument("--rounds", type=int, default=usual.rounds)
    parser.add_argument(
        "--messages",
        type=int,
        default=usual.messages,
        help="for FastStream with aiohttp; the others get more or fewer, for rounds as long",
    )
    parser.add_argument(
        "--seconds", type=float, default=usual.seconds, help="of each limit, and of idleness"
    )
    parser.add_argument("--long", action="store_true", help="a backlog of a million too")
    parser.add_argument("--quick", action="store_true", help="a minute: ratios only, nothing kept")
    parser.add_argument("--render", action="store_true", help="measure nothing: write the page")
    return parser


if __name__ == "__main__":
    sys.exit(main())
