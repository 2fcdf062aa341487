"""`taskedit run`: the worker."""

from __future__ import annotations

import signal

import click


@click.command(name="run")
@click.pass_context
def command(ctx: click.Context) -> None:
    """Run the worker in the foreground, until SIGTERM or Ctrl-C.

    The first signal lets it finish what is in flight, the second ends it at once. SIGHUP reads
    the settings again, SIGUSR1 turns debug logging on and off.
    """
    # Python ends by it until there is a handler: a reload that is asked for now waits till then.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    from worker.cli.sessions import read_settings  # noqa: PLC0415 (what takes long comes after)
    from worker.observability import log  # noqa: PLC0415
    from worker.process import run  # noqa: PLC0415

    settings = read_settings(accounts_wanted=True, secrets_wanted=True)
    log.configure(settings.log_level, settings.log_format, no_color=settings.no_color)
    ctx.exit(run(settings))
