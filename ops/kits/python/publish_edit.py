#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["pika>=1.4.4,<2", "pydantic>=2.12,<3"]
# ///
"""Publish one task edit and wait for its outcome: a whole publisher, to run or to take apart.

Needs pika, and the package `schemas` of the worker, which needs pydantic and nothing else.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from uuid import uuid4

import pika
from pika.exceptions import AMQPError, ChannelClosedByBroker, NackError, UnroutableError

from schemas import Malformed, Names, TaskEdit, app_key, read, read_event, validate
from schemas.names import JSON_CONTENT_TYPE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pika.adapters.blocking_connection import BlockingChannel

APPLIED, REJECTED, ABSENT, LATE = 0, 1, 69, 75


class LateError(BaseException):
    """Time is up. Like KeyboardInterrupt it passes through pika, which catches Exception."""


def main() -> int:
    """Do it; the exit code."""
    arguments = _arguments()
    body: bytes = arguments.body
    edit = checked(body)
    if isinstance(edit, str):
        print(f"Not sent: {edit}", file=sys.stderr)
        return REJECTED
    message_id = arguments.message_id or str(uuid4())
    try:
        with _alarm(arguments.timeout):
            event = outcome(body, edit, message_id, by_reply=arguments.by == "reply")
    except LateError:
        code, said = LATE, "No outcome in time."
    except NackError:
        code, said = LATE, "RabbitMQ refused it, for a queue is full."
    except (UnroutableError, ChannelClosedByBroker) as error:
        code, said = ABSENT, f"Not routed: is the worker's topology there? {error!r}."
    except AMQPError as error:
        code, said = ABSENT, f"RabbitMQ: {error!r}."
    else:
        print(event.decode())
        return REJECTED if read_event(event).data.outcome == "rejected" else APPLIED
    print(f"{said} Safe to repeat: --message-id {message_id}", file=sys.stderr)
    return code


def checked(body: bytes) -> TaskEdit | str:
    """Return the edit, or what is wrong with it: what the worker would find, found here."""
    document = read(body)
    if isinstance(document, Malformed):
        return document.detail
    edit = validate(document)
    return edit if isinstance(edit, TaskEdit) else edit.detail


def outcome(body: bytes, edit: TaskEdit, message_id: str, *, by_reply: bool) -> bytes:
    """Publish the edit; return its event as it came, by `reply_to` or from the events' exchange.

    Waits without end, hence the alarm: also for a confirm, since BlockingChannel does. Raises
    what pika raises.
    """
    names = Names(os.environ.get("TASKEDIT_NAMESPACE", "task-edit"))
    addresses = os.environ.get("TASKEDIT_AMQP_URL", "amqp://guest:guest@localhost:5672/%2F")
    servers = [pika.URLParameters(each) for each in addresses.split(",")]
    connection = pika.BlockingConnection(servers)
    try:
        channel = connection.channel()
        channel.confirm_delivery()
        # First the ear, then the word: an event that nobody waits for yet is gone.
        queue = channel.queue_declare("", exclusive=True).method.queue
        if not by_reply:
            for key in (app_key(edit.appId), app_key(None)):  # also of an edit that is not read
                channel.queue_bind(queue, names.events, f"*.{key}")
        properties = pika.BasicProperties(
            content_type=JSON_CONTENT_TYPE,
            delivery_mode=pika.DeliveryMode.Persistent,
            message_id=message_id,
            timestamp=int(time.time()),
            reply_to=queue if by_reply else None,
        )
        channel.basic_publish(names.exchange, edit.appId or "", body, properties, mandatory=True)
        return _heard(channel, queue, message_id)
    finally:
        if connection.is_open:
            connection.close()


def _heard(channel: BlockingChannel, queue: str, message_id: str) -> bytes:
    """Return the first event about this message; others of the same appId come by, too."""
    for _, _, body in channel.consume(queue, auto_ack=True):
        if read_event(body).data.messageId == message_id:
            return body
    raise AMQPError("the queue is gone")


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raise `LateError` when time is up, and again each second: closing might wait, too."""
    signal.signal(signal.SIGALRM, _late)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _late(*_: object) -> NoReturn:
    raise LateError


def _content(path: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{path}: {error.strerror}") from None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Publish one task edit and wait for its outcome.")
    parser.add_argument("body", type=_content, metavar="FILE", help="an edit in JSON; - for stdin")
    parser.add_argument("--by", choices=("events", "reply"), default="events")
    parser.add_argument("--timeout", type=float, default=60, metavar="SECONDS")
    parser.add_argument("--message-id", metavar="ID", help="the same again, to repeat safely")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
