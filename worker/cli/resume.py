"""`taskedit resume`: a paused account goes on."""

from __future__ import annotations

import click

from worker.cli.pause import carry_out


@click.command(name="resume")
@click.argument("account")
@click.option("--why", metavar="TEXT", help="For whoever wonders, next week.")
@click.pass_context
def command(ctx: click.Context, account: str, why: str | None) -> None:
    """End the pause of an account, for the whole fleet.

    Ends with 0 when the workers have taken it; 75 when none answers (it is written down, and holds
    for whoever starts later); 69 when RabbitMQ or its control stream is not there.
    """
    ctx.exit(carry_out("resume", account, why))
