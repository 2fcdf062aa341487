"""Start a private RabbitMQ for a person: `python -m ops.rabbitmq`, until Ctrl-C."""

from __future__ import annotations

import signal
import sys
import tempfile
from pathlib import Path

import click

from ops.rabbitmq import chroot, install
from ops.rabbitmq.node import Node


@click.command()
@click.option("--management/--no-management", default=True, help="With its page for browsers.")
@click.option(
    "--version",
    type=click.Choice(chroot.VERSIONS),
    default="3.10",
    show_default=True,
    help="3.10: whichever this machine has. The others come from newer Debians; root only.",
)
def main(*, management: bool, version: str) -> None:
    """Start a RabbitMQ of your own, print its addresses on stdout and stay until Ctrl-C."""
    try:
        root = chroot.of_rabbitmq(version)
        if root is None:
            install.ensure()
    except install.AbsentError as absent:
        click.echo(absent, err=True)
        sys.exit(69)
    plugins = ["rabbitmq_management"] if management else []
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # both end it in the same way
    try:
        with (
            tempfile.TemporaryDirectory(prefix="rabbitmq-") as folder,
            Node(Path(folder), plugins=plugins, root=root) as node,
        ):
            click.echo(node.amqp_url)
            if management:
                click.echo(node.management_url)
            click.echo(f"RabbitMQ {node.version} runs; Ctrl-C ends it.", err=True)
            signal.pause()
    except KeyboardInterrupt:
        click.echo("RabbitMQ has ended.", err=True)


if __name__ == "__main__":
    main()
