"""The demo in plain words, on standard output."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_WIDTH: Final = 30
_CLEAR: Final = "\r\x1b[K"


@dataclass(slots=True)
class Telling:
    """Sentences with the seconds since the start; on a terminal, a bar below them."""

    began: float = field(default_factory=time.monotonic)
    color: bool | None = field(default_factory=lambda: False if "NO_COLOR" in os.environ else None)
    """None: on a terminal only."""
    _bar: bool = False

    def say(self, sentence: str) -> None:
        """One thing that happens."""
        self._wipe()
        self._echo(_fitted(f"{time.monotonic() - self.began:5.1f} s  {sentence}", 9))

    def changed(self, account: str, lane: Mapping[str, Any]) -> None:
        """A lane is in another state."""
        match lane["state"]:
            case "running":
                words = click.style("runs again", fg="green")
            case state:
                words = (
                    f"{click.style(state, fg='yellow')}: {lane['why']}; {lane['held']} edits wait"
                )
        self.say(f"  {account} {words}")

    def show(self, done: int, count: int, lanes: Mapping[str, Mapping[str, Any]]) -> None:
        """How far it is; on a terminal only."""
        if not sys.stdout.isatty():
            return
        full = _WIDTH * done // count
        states = ", ".join(f"{account} {lane['state']}" for account, lane in lanes.items())
        bar = "█" * full + "░" * (_WIDTH - full)
        line = f"         {bar} {done} of {count}  {states}"
        self._echo(f"{_CLEAR}{line[: _columns() - 1]}", nl=False)
        self._bar = True

    def table(self, title: str, rows: Iterable[tuple[str | int, str]]) -> None:
        """A title and rows below it: a number or a mark each, and words."""
        self._wipe()
        self._echo(f"\n{click.style(title, bold=True)}")
        for first, words in rows:
            self._echo(_fitted(f"{' ' * (8 - len(click.unstyle(str(first))))}{first}  {words}", 10))

    def _wipe(self) -> None:
        if self._bar:
            self._echo(_CLEAR, nl=False)
            self._bar = False

    def _echo(self, text: str, *, nl: bool = True) -> None:
        click.echo(text, nl=nl, color=self.color)


def _columns() -> int:
    return shutil.get_terminal_size().columns


def _fitted(line: str, indent: int) -> str:
    """A line as it is, or as several, without colours, where it is wider than the terminal."""
    if not sys.stdout.isatty() or len(click.unstyle(line)) <= _columns():
        return line
    return textwrap.fill(click.unstyle(line), _columns(), subsequent_indent=" " * indent)
