"""`python -m ops.demo`: the worker at work, on a RabbitMQ and an API of its own.

Ends with 0 only if every promise was kept; whatever it started is ended with it.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from ops.demo import post as posts
from ops.demo import worker as workers
from ops.demo.messages import FILE, messages
from ops.demo.play import Play, prepare
from ops.demo.promises import Evidence, Promise, outcomes, promises
from ops.demo.telling import Telling
from ops.demo.worker import CLIENTS
from ops.rabbitmq.install import AbsentError
from ops.rabbitmq.node import NodeError
from ops.sandbox.broker import Broker, own_broker
from ops.sandbox.worker import TroubleError
from ops.simulator.control import Simulator
from schemas import Names

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from ops.demo.messages import Message


VARIABLE: Final = "TASKEDIT_AMQP_URL"


def main() -> int:
    """The exit code: 0 if all promises were kept, 69 without a RabbitMQ, else 1."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # both end it in the same way
    try:
        return _demo(Telling())
    except AbsentError as absent:
        click.echo(absent, err=True)
        return os.EX_UNAVAILABLE
    except (TroubleError, NodeError) as trouble:
        click.echo(f"\n{trouble}", err=True)
        return 1
    except KeyboardInterrupt:
        click.echo("\nStopped; nothing is left running.", err=True)
        return 1


def _demo(telling: Telling) -> int:
    names, edits = Names(f"demo-{secrets.token_hex(3)}"), messages()
    telling.say("Looking for a RabbitMQ, and starting one if need be …")
    with (
        _broker() as broker,
        Simulator() as simulator,
        tempfile.TemporaryDirectory(prefix="task-edit-demo-") as folder,
        posts.opened(broker.url, names, [client.name for client in CLIENTS]) as post,
    ):
        log = Path(folder) / "worker.log"
        telling.say(f"{broker.what}.")
        prepare(simulator)
        limits = ", ".join(f"{each.name} {each.allowed}" for each in CLIENTS)
        telling.say(f"A simulated API. Calls a second that it allows: {limits}.")
        with workers.running(broker.url, names.namespace, simulator.url, log) as worker:
            rates = ", ".join(f"{each.name} {each.calls_a_second}" for each in CLIENTS)
            telling.say(f"One worker, with a lane for each account. Its limits: {rates}.")
            post.listen()
            post.publish(edits)
            telling.say(f"{len(edits)} messages are published, those of ops/demo/{FILE.name}.")
            play = Play(simulator, worker, post, telling)
            play.run(len(edits))
            telling.say("Every message has its event.")
            evidence = _evidence(play, edits, log)
            return _told(telling, evidence, ended=worker.end())


def _broker() -> AbstractContextManager[Broker]:
    """The RabbitMQ that the environment names, else one of our own."""
    if url := os.environ.get(VARIABLE):
        return nullcontext(Broker(url.split(",")[0], f"your RabbitMQ, of {VARIABLE}"))
    return own_broker()


def _evidence(play: Play, edits: list[Message], log: Path) -> Evidence:
    return Evidence(
        messages=edits,
        events=play.post.events,
        letters=play.post.dead_letters(),
        calls=list(play.simulator.calls()),
        summaries=play.simulator.summary(),
        pauses=play.pauses,
        left=play.post.left([client.name for client in CLIENTS]),
        said=log.read_text(encoding="utf-8"),
    )


def _told(telling: Telling, seen: Evidence, *, ended: bool) -> int:
    """Show what became of the messages and of the promises; the exit code."""
    retried = sum(event.data.attempts > 1 for event in seen.events)
    repeats = len(seen.messages) - len({message.id for message in seen.messages})
    rows: list[tuple[str | int, str]] = [(len(seen.messages), "sent"), *outcomes(seen.events)]
    rows += [(repeats, "repeats: known, and not called again"), (retried, "retried, then settled")]
    telling.table("What became of them", rows)
    _show_examples(telling, seen)
    checked = promises(seen)
    checked.append(Promise("ends in good order", ended, "everything settled, exit code 0"))
    marks = {True: click.style("kept", fg="green"), False: click.style("BROKEN", fg="red")}
    telling.table(
        "Promises", [(marks[each.kept], f"{each.name}: {each.detail}") for each in checked]
    )
    kept = all(each.kept for each in checked)
    click.echo(f"\n{'All promises were kept.' if kept else 'A promise was broken.'}")
    return 0 if kept else 1


def _show_examples(telling: Telling, seen: Evidence) -> None:
    """One event and one dead letter, as a subscriber and an operator would see them."""
    letter = next(each for each in seen.letters if each.headers["taskedit-reason"] == "invalid")
    event = next(each for each in seen.events if each.data.messageId == letter.id)
    facts = event.model_dump(mode="json", exclude_none=True)
    telling.table("An event", [("", line) for line in json.dumps(facts, indent=2).splitlines()])
    story = next(each.story for each in seen.messages if each.id == letter.id)
    headers = [("", f"{name}: {value}") for name, value in sorted(letter.headers.items())]
    telling.table(f"The dead letter of the same edit: {story}", headers)


if __name__ == "__main__":
    sys.exit(main())
