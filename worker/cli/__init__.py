"""`taskedit`: the worker's commands, one module a command.

A new command is a row in `COMMANDS` and a module ``worker.cli.<name>`` that has a click command
named `command`; one of `BESIDE` has its module elsewhere. It is imported when it is called and not
before: `--help` and completion need the table only, and `taskedit run` never pays for what the
others import.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Final

import click

from worker.cli import streams
from worker.cli.exits import ABSENT

COMMANDS: Final = {
    "run": "The worker, in the foreground.",
    "validate": "Check edits in files, without sending them.",
    "publish": "Publish edits, and say what became of them.",
    "doctor": "Whether the worker can run, and what to do if not.",
    "apply": "Send edits to the API straight from files.",
    "watch": "Events as they happen.",
    "history": "What happened to edits, from the journal.",
    "lanes": "Every account over the whole fleet: its state, and why.",
    "pause": "Stop calls for an account by hand.",
    "resume": "Let a paused account go on.",
    "audit": "Who did what to letters and accounts.",
    "console": "The operators' page: all of this in a browser.",
    "dead": "What failed, why, and how to put it right.",
    "topology": "What RabbitMQ holds against what it should.",
    "schema": "The contract as files for other languages.",
    "sandbox": "RabbitMQ, a simulated API and a worker, to try things on.",
    "completion": "Commands and options by the Tab key.",
}
"""Each command in a line, in the order of --help."""


BESIDE: Final = {"sandbox": "ops.sandbox.cli"}
"""Modules of commands that nothing of the worker needs: they are in `ops`, and ship with it."""


class _Commands(click.Group):
    """The table as a click group. A command is known by its row until it is to be called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        line = COMMANDS.get(cmd_name)
        return None if line is None else click.Command(cmd_name, short_help=line)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, known, rest = super().resolve_command(ctx, args)
        return name, known and _imported(str(name)), rest


def _imported(name: str) -> click.Command:
    try:
        module = import_module(BESIDE.get(name, f"worker.cli.{name}"))
    except ModuleNotFoundError:
        if name not in BESIDE:
            raise
        click.echo(f"{name} is not part of this installation; the wheel has it.", err=True)
        sys.exit(ABSENT)
    found: click.Command = module.command
    return found


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Settings are TASKEDIT_… variables. Exit codes: 0 done, 1 failed, 2 usage, 69 something"
    " it depends on is absent, 75 try again, 78 bad settings.",
)
@click.version_option(package_name="task-edit-worker", prog_name="taskedit")
@click.option("--no-color", envvar="NO_COLOR", hidden=True, type=str)
@click.pass_context
def root(ctx: click.Context, no_color: str | None) -> None:
    """Edits of outbound-call tasks, from RabbitMQ to the provider's API."""
    ctx.color = False if no_color else None


def main() -> None:
    """The console script; ends the process with the command's exit code."""
    streams.run(lambda: root(prog_name="taskedit"))
