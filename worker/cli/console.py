"""`taskedit console`: the operators' page."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import signal
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from worker.amqp.session import Broker
from worker.cli import sessions
from worker.cli.exits import ABSENT, BAD_SETTINGS, FAILED
from worker.observability import log
from worker.settings import environment
from worker.settings.console import ConsoleSettings, in_url, load_console

if TYPE_CHECKING:
    import socket

    from worker.settings import Settings

_EXTRA: Final = ("jinja2", "starlette", "uvicorn")


@click.command(name="console")
@click.option(
    "--hash-password", is_flag=True, help="Ask for a password; print it for the users file."
)
@click.option(
    "--new-token", is_flag=True, help="Make a token for a program; print it, and its digest."
)
@click.pass_context
def command(ctx: click.Context, *, hash_password: bool, new_token: bool) -> None:
    """Serve the operators' page: accounts, dead letters, jobs, and what to do about each.

    It needs RabbitMQ, no worker and no management API. On this machine only, it prints a code that
    signs in once; for others, see TASKEDIT_CONSOLE_USERS_FILE and TASKEDIT_CONSOLE_PROXY.
    """
    if any(find_spec(name) is None for name in _EXTRA):
        click.echo(
            "The console is an extra that is not installed: pip install 'FILE[console]', with the"
            " wheel that taskedit was installed from.",
            err=True,
        )
        ctx.exit(ABSENT)
    if hash_password:
        _print_hash()
    elif new_token:
        token = secrets.token_urlsafe(32)
        click.echo(f"token: {token}\nsha256: {hashlib.sha256(token.encode()).hexdigest()}")
    else:
        _serve(ctx)


def _print_hash() -> None:
    from worker.console.access import password_hash  # noqa: PLC0415 (the extra)

    given = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    click.echo(password_hash(given))


def _serve(ctx: click.Context) -> None:
    from worker.console.app import listening  # noqa: PLC0415 (the extra)

    settings = sessions.read_settings(accounts_wanted=False, secrets_wanted=False)
    own = load_console(environment())
    if not isinstance(own, ConsoleSettings):
        for problem in own:
            click.echo(f"{problem}.", err=True)
        ctx.exit(BAD_SETTINGS)
    log.configure(settings.log_level, settings.log_format, no_color=settings.no_color)
    try:
        at = listening(own)
    except OSError as error:
        click.echo(f"{_where(own)} cannot be listened on: {error.strerror or error}.", err=True)
        ctx.exit(FAILED)
    asyncio.run(_run(settings, own, at))


async def _run(settings: Settings, own: ConsoleSettings, at: socket.socket) -> None:
    from worker.console.access import Access  # noqa: PLC0415 (the extra)
    from worker.console.app import serve  # noqa: PLC0415 (the extra)
    from worker.console.data import Console  # noqa: PLC0415 (the extra)

    access = Access(own, _where(own, at))
    broker = Broker.of(settings, version("task-edit-worker"))
    async with Console(broker, settings) as console:
        ending = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, ending.set)
        click.echo(f"The console is at {access.address}.")
        if own.by_code:
            click.echo(access.invitation)
        await serve(console, access, own, at, settings.namespace, ending)


def _where(own: ConsoleSettings, at: socket.socket | None = None) -> str:
    if isinstance(own.address, Path):
        return f"unix:{own.address}"
    host = in_url(own.address[0])
    port = own.address[1] if at is None else at.getsockname()[1]
    return f"{'http' if own.certificate is None else 'https'}://{host}:{port}"
