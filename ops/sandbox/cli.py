"""`taskedit sandbox`: RabbitMQ, the simulated API and a worker, until Ctrl-C or a command's end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn
from urllib.parse import urlsplit

import click

from ops.rabbitmq.install import AbsentError
from ops.rabbitmq.node import NodeError
from ops.rabbitmq.ports import free_port
from ops.sandbox.broker import own_broker
from ops.sandbox.worker import TroubleError, Worker, running, without_settings
from ops.simulator.control import Simulator
from schemas import examples

if TYPE_CHECKING:
    from collections.abc import Iterator

API_PORT: Final = 8080
OPS_PORT: Final = 9464
KEY, SECRET = "demo-key", "demo-secret"
LOOKED_EVERY: Final = 0.2
"""Seconds."""
FIRST: Final[dict[str, Any]] = {"appId": "LILIN888", **examples.EDITS[1], "jobId": 123}
"""An edit that is applied."""


@click.command(name="sandbox")
@click.argument("program", nargs=-1, type=click.UNPROCESSED, metavar="[-- COMMAND...]")
def command(program: tuple[str, ...]) -> None:
    """RabbitMQ, a simulated API and a worker, to try things on.

    Prints their addresses on standard output, a line NAME=value each, and stays until Ctrl-C. It
    takes every appId and reads no settings. The worker's log is on standard error.

    With a COMMAND it runs that with the addresses in its environment, and ends when it does, with
    its exit code: `taskedit sandbox -- npm test`.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # both end it in the same way
    code = 0
    try:
        with _sandbox() as (settings, worker):
            code = _run(program, settings) if program else _stay(settings, worker)
    except AbsentError as absent:
        code = _said(absent, os.EX_UNAVAILABLE)
    except (TroubleError, NodeError) as trouble:
        code = _said(trouble, 1)
    except KeyboardInterrupt:
        click.echo("\nThe sandbox has ended; nothing is left running.", err=True)
    sys.exit(code)


def _said(trouble: Exception, code: int) -> int:
    click.echo(f"\n{trouble}", err=True)
    return code


@contextmanager
def _sandbox() -> Iterator[tuple[dict[str, str], Worker]]:
    """All of it, up and ready: the settings that a worker or a publisher needs, and the worker."""
    click.echo("Starting RabbitMQ, a simulated API and a worker …", err=True)
    with (
        own_broker(management=True) as broker,
        Simulator("--account", f"{KEY}:{SECRET}", port=free_port(API_PORT)) as simulator,
        tempfile.TemporaryDirectory(prefix="task-edit-sandbox-") as folder,
    ):
        click.echo(f"{broker.what}.", err=True)
        port = free_port(OPS_PORT)
        settings = {
            "TASKEDIT_AMQP_URL": broker.url,
            "TASKEDIT_MANAGEMENT_URL": broker.management_url,
            "TASKEDIT_API_URL": simulator.url,
            "TASKEDIT_API_KEY": KEY,
            "TASKEDIT_API_SECRET": SECRET,
            "TASKEDIT_OPS_ADDRESS": f"127.0.0.1:{port}",
            "TASKEDIT_STATE_DIR": str(Path(folder) / "state"),
        }
        with running(settings, port, Path(folder), sys.stderr.buffer) as worker:
            try:
                yield settings, worker
            finally:
                worker.end()


def _run(program: tuple[str, ...], settings: dict[str, str]) -> int:
    """The exit code of a program that has the sandbox in its environment."""
    environment = {**without_settings(os.environ), **settings}
    try:
        return subprocess.run(program, env=environment, check=False).returncode
    except OSError as problem:
        raise TroubleError(f"{program[0]}: {problem.strerror}") from problem


def _stay(settings: dict[str, str], worker: Worker) -> NoReturn:
    """Tell where everything is, and wait for Ctrl-C; TroubleError if the worker ends before."""
    click.echo("\n".join(f"{name}={value}" for name, value in settings.items()))
    click.echo(f"\n{_told(settings)}\n", err=True)
    while not worker.ended:
        time.sleep(LOOKED_EVERY)
    raise TroubleError("The worker has ended; its log is above.")


def _told(settings: dict[str, str]) -> str:
    """What to do with it, for people."""
    management = urlsplit(settings["TASKEDIT_MANAGEMENT_URL"])
    ops = settings["TASKEDIT_OPS_ADDRESS"]
    control = settings["TASKEDIT_API_URL"].replace("/aivoice", "/_simulator/")
    return f"""\
RabbitMQ's page   http://127.0.0.1:{management.port} (guest, guest)
The worker        http://{ops}/lanes, /readyz, /metrics
The API's record  {control}calls, {control}summary

Publish a first edit from another terminal:

{first_edit(management.port or 0)}

What becomes of it shows here, and by: curl http://{ops}/lanes
Ctrl-C ends all of it."""


def first_edit(port: int) -> str:
    """The command to copy: it publishes `FIRST` by RabbitMQ's management API on this port."""
    payload = json.dumps(json.dumps(FIRST, separators=(",", ":")))
    return f"""\
curl -u guest:guest -H 'content-type: application/json' \\
    http://localhost:{port}/api/exchanges/%2F/task-edit/publish -d '{{
      "routing_key": "{FIRST["appId"]}", "payload_encoding": "string",
      "properties": {{"message_id": "edit-1", "content_type": "application/json",
                     "delivery_mode": 2}},
      "payload": {payload}}}'"""
