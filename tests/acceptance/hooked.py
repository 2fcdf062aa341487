"""`taskedit run` with a hook: edits whose names say so end the process, or meet a bug of ours.

`python -m tests.acceptance.hooked` reads the settings of the worker.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

from worker.cli.sessions import read_settings
from worker.observability import log
from worker.process import client_of, run

if TYPE_CHECKING:
    from worker.account import Account
    from worker.core.reply import Leave, Reply, Shortage
    from worker.pipeline.callers import Caller

DEADLY, BUGGY = "deadly", "buggy"


class Mortal:
    """A caller that an edit can kill."""

    def __init__(self, proper: Caller) -> None:
        self._proper = proper

    def call(
        self,
        body: bytes,
        timestamp: int,
        *,
        traceparent: str | None = None,
        leave: Leave,
    ) -> Reply | Shortage | None:
        """Die of a deadly edit, fail at a buggy one; call the API with any other."""
        if BUGGY.encode() in body:
            raise RuntimeError("a bug")
        if DEADLY.encode() in body:
            os.kill(os.getpid(), signal.SIGKILL)
        return self._proper.call(body, timestamp, traceparent=traceparent, leave=leave)


def mortal(account: Account) -> Caller:
    """The account's client, with the hook."""
    return Mortal(client_of(account))


if __name__ == "__main__":
    settings = read_settings(accounts_wanted=True, secrets_wanted=True)
    log.configure(settings.log_level, settings.log_format, no_color=settings.no_color)
    sys.exit(run(settings, mortal))
