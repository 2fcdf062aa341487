"""`taskedit apply`: edits sent to the API straight from files."""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, Final, cast

import click

from worker.apply.feeder import file_edit
from worker.apply.offline import OfflineRun, Watcher
from worker.cli.drafts import drafts
from worker.cli.exits import DONE, FAILED
from worker.cli.options import FILES, content, parsed
from worker.cli.sessions import read_settings, sentence
from worker.cli.terminal import bar
from worker.observability import log
from worker.process import client_of
from worker.settings import texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from worker.account import Account
    from worker.apply.feeder import FileEdit
    from worker.apply.offline import Ended

_PATIENCE: Final = texts.duration(timedelta(0), timedelta(days=7))


@click.command(name="apply")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=FILES)
@click.option(
    "--failures",
    metavar="FILE",
    default="failures.jsonl",
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where edits go that were not applied, each with why; `publish` and `apply` take it.",
)
@click.option(
    "--give-up-after",
    "patience",
    metavar="TIME",
    callback=parsed(_PATIENCE),
    help="How long an account may be suspended; without it that is waited for.",
)
@click.pass_context
def command(
    ctx: click.Context, files: tuple[str, ...], failures: Path, patience: timedelta | None
) -> None:
    """Send the edits in files to the API, without a broker: in order, paced, and tried again.

    A FILE holds one edit, a JSON list of edits, or JSON Lines; - is standard input. Accounts are
    the worker's own, chosen by appId. Each event is a line on standard output.

    Ctrl-C lets what is in flight finish; what was not sent is then among the failures, as
    `unsent`. Ends with 0 when every edit was applied or superseded.
    """
    settings = read_settings(accounts_wanted=True, secrets_wanted=True)
    log.configure("error", settings.log_format, no_color=settings.no_color)
    edits = _edits(files)
    if any(len(account.rates) > 1 for account in settings.accounts):
        _say("only this command's own calls are counted for limits over a longer time")
    with _fresh(failures) as file:
        ended = _applied(settings.accounts, edits, _Failures(file, failures), patience)
    _print(ended, failures)
    ctx.exit(DONE if ended.applied + ended.superseded == len(edits) else FAILED)


def _edits(files: Sequence[str]) -> list[FileEdit]:
    """Every edit of the files, in order."""
    found = [draft for file in files for draft in drafts(file, content(file))]
    for draft in found:
        if draft.flaw is not None:
            click.echo(f"{draft.file}:{draft.line}: {draft.flaw}", err=True)
    return [
        file_edit(number, draft.file, draft.line, draft.body)
        for number, draft in enumerate(found, start=1)
    ]


def _applied(
    accounts: Sequence[Account],
    edits: Sequence[FileEdit],
    file: _Failures,
    patience: timedelta | None,
) -> Ended:
    stops = 0
    with bar("Settled", len(edits)) as look:
        seconds = None if patience is None else patience.total_seconds()
        applying = OfflineRun(
            accounts,
            client_of,
            edits,
            (sys.stdout.buffer, cast("IO[bytes]", file)),
            Watcher(look, _say, seconds),
            version=version("task-edit-worker"),
        )

        def stop() -> None:
            nonlocal stops
            stops += 1
            applying.loop.post(applying.stop if stops == 1 else applying.loop.stop)

        file.full = lambda: applying.loop.post(applying.stop)
        with interrupted(stop):
            return applying.run()


@contextmanager
def interrupted(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` on Ctrl-C and SIGTERM meanwhile, instead of ending right there."""
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: stop()) for number in signals]
    try:
        yield
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


class _Failures:
    """The file of failures. What it cannot take goes to standard error, and no more is sent."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self.full: Callable[[], None] = lambda: None
        self._file = file
        self._path = path
        self._told = False

    def write(self, line: bytes) -> None:
        """Write one line."""
        try:
            if self._file.write(line) == len(line):
                return
            why = "it is full"
        except OSError as error:
            why = str(error.strerror)
        if not self._told:
            self._told = True
            _say(f"the file {self._path} cannot be written: {why}; what belongs in it follows here")
            self.full()
        sys.stderr.buffer.write(line)

    def flush(self) -> None:
        """Nothing waits in the file itself."""
        sys.stderr.flush()


@contextmanager
def _fresh(path: Path) -> Iterator[BinaryIO]:
    """A new file, gone again if nothing was written to it."""
    if path.exists() and path.stat().st_size:
        raise click.UsageError(f"{path} exists and is not empty: name another with --failures.")
    try:
        file = path.open("wb", buffering=0)
    except OSError as error:
        raise click.UsageError(f"{path} cannot be written: {error.strerror}.") from None
    try:
        with file:
            yield file
    finally:
        if path.is_file() and not path.stat().st_size:
            path.unlink()


def _print(ended: Ended, failures: Path) -> None:
    parts = [f"{ended.applied} applied"]
    if ended.superseded:
        parts.append(f"{ended.superseded} superseded")
    if ended.rejected:
        parts.append(f"{ended.rejected} rejected")
    if ended.unsent:
        unsure = f", of which {ended.unsure} may have been applied" if ended.unsure else ""
        parts.append(f"{ended.unsent} left over{unsure}")
    where = f": see {failures}" if ended.rejected or ended.unsent else ""
    click.echo(f"{'; '.join(parts)}{where}.", err=True)


def _say(what: str) -> None:
    click.echo(sentence(what), err=True)
