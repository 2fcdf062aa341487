"""Standard input, output and error as they are found: closed, full, or of another encoding."""

from __future__ import annotations

import io
import os
import select
import signal
import stat
import sys
from contextlib import contextmanager, suppress
from threading import Thread
from typing import TYPE_CHECKING, NoReturn

import click

from worker.cli.exits import FAILED, USAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_UNPRINTABLE = "backslashreplace"


def run(command: Callable[[], None]) -> NoReturn:
    """Call a command and end the process; what a stream or a file cannot do is a sentence."""
    _open_missing()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name in another encoding, or a sign that the locale has not, is shown escaped.
            stream.reconfigure(errors=_UNPRINTABLE)
    code: object = FAILED
    try:
        try:
            command()
        except SystemExit as end:
            code = end.code
        sys.stdout.flush()
    except UnicodeEncodeError as error:
        _complain(f"What was given is not text in UTF-8: {error.object!a}.")
        code = USAGE
    except BrokenPipeError:
        code = FAILED  # whoever reads has seen enough
    except OSError as error:
        _complain(f"{error.filename or 'Standard output'} cannot be used: {error.strerror}.")
        code = FAILED
    with suppress(OSError, ValueError):
        sys.stderr.flush()
    if code in {None, 0}:
        sys.exit(0)
    _forget_output()
    sys.exit(code if isinstance(code, int) else FAILED)


@contextmanager
def ending_with_reader() -> Iterator[None]:
    """End as by Ctrl-C once nobody reads standard output any more, though nothing is written.

    `head` is gone after ten lines; without this a command that waits for more would notice at
    the next line only, which may be never.
    """
    if stat.S_ISFIFO(os.fstat(1).st_mode):
        Thread(target=_watch_reader, name="reader", daemon=True).start()
    yield


def _watch_reader() -> None:
    poll = select.poll()
    poll.register(1, 0)  # an end that is gone is told without being asked for
    poll.poll()
    os.kill(os.getpid(), signal.SIGINT)


def _open_missing() -> None:
    """Put something in the place of closed streams, that fails when it is used.

    Otherwise the next connection or file would get their number, and be written to.
    """
    for number, flags in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_RDONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flags)
    if sys.stdin is None:
        sys.stdin = os.fdopen(0, "r", closefd=False)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)


def _complain(sentence: str) -> None:
    with suppress(OSError, ValueError):
        click.echo(sentence, err=True)


def _forget_output() -> None:
    """Let Python's own last flush find nothing to complain of."""
    for number in (1, 2):
        os.close(number)
        os.open(os.devnull, os.O_WRONLY)  # by this number, the lowest: there may be no other
