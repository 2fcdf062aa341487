#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["kombu>=5.5,<6"]
# ///
"""Publish one task edit and wait for its outcome with kombu; the worker checks the edit.

For systems that have kombu already, such as those with Celery.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any, NoReturn
from uuid import uuid4

from amqp.exceptions import AMQPError, ChannelError, MessageNacked
from kombu import Connection, Consumer, Exchange, Message, Producer, Queue, binding

APPLIED, REJECTED, ABSENT, LATE = 0, 1, 69, 75
NAMESPACE = os.environ.get("TASKEDIT_NAMESPACE", "task-edit")
SERVERS = os.environ.get("TASKEDIT_AMQP_URL", "amqp://guest:guest@localhost:5672/%2F")
CONNECT = 10.0
"""Seconds at most, for one server."""

# The worker's, who declares them. Without `no_declare` kombu would, with arguments of its own: that
# takes a permission which publishers do not have, and RabbitMQ refuses what differs.
EDITS = Exchange(NAMESPACE, "topic", no_declare=True)
EVENTS = Exchange(f"{NAMESPACE}.events", "topic", no_declare=True)


class LateError(BaseException):
    """Time is up. Like KeyboardInterrupt it passes through kombu, which catches Exception."""


def main() -> int:
    """Do it; the exit code."""
    arguments = _arguments()
    message_id = arguments.message_id or str(uuid4())
    try:
        app_id = str(json.loads(arguments.body)["appId"])
    except (ValueError, KeyError, TypeError) as error:
        print(f"Not sent: appId is required, as the routing key ({error!r})", file=sys.stderr)
        return REJECTED
    connection = Connection(
        SERVERS.replace(",", ";"),
        connect_timeout=CONNECT,
        transport_options={"confirm_publish": True, "max_retries": 1, "interval_start": 0},
    )
    # Most of what py-amqp awaits it awaits without end, hence an alarm.
    signal.signal(signal.SIGALRM, _late)
    signal.setitimer(signal.ITIMER_REAL, arguments.timeout)
    try:
        event = outcome(
            connection, arguments.body, app_id, message_id, by_reply=arguments.by == "reply"
        )
    except LateError:
        code, said = LATE, "No outcome in time."
    except MessageNacked:
        code, said = LATE, "RabbitMQ refused it, for a queue is full."
    except ChannelError as error:
        code, said = ABSENT, f"Not routed: is the worker's topology there? {error}."
    except (AMQPError, OSError) as error:
        code, said = ABSENT, f"RabbitMQ: {error!r}."
    else:
        print(json.dumps(event, ensure_ascii=False))
        return REJECTED if event["data"]["outcome"] == "rejected" else APPLIED
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        connection.collect(1.0)  # release() would wait for an answer, without end
    print(f"{said} Safe to repeat: --message-id {message_id}", file=sys.stderr)
    return code


def outcome(
    connection: Connection, body: bytes, app_id: str, message_id: str, *, by_reply: bool
) -> dict[str, Any]:
    """Publish the edit; return its event, by `reply_to` or from the events' exchange.

    Waits without end, hence the alarm. Raises what kombu raises.
    """
    connection.connect()
    channel = connection.channel()
    # As the appId is written here, so a misspelt one is heard of, too; _ for an edit that cannot
    # be read. First the ear, then the word: an event that nobody waits for yet is gone.
    word = app_id if re.fullmatch(r"[A-Za-z0-9_-]{1,100}", app_id) else "_"
    keys = [] if by_reply else sorted({f"*.{word}", "*._"})
    ear = Queue("", exclusive=True, durable=False, bindings=[binding(EVENTS, key) for key in keys])
    heard: list[dict[str, Any]] = []

    def hear(message: Message) -> None:
        heard.append(json.loads(message.body))

    with Consumer(channel, [ear], no_ack=True, on_message=hear) as consumer:
        Producer(channel, EDITS, app_id, auto_declare=False).publish(
            body,
            content_type="application/json",
            content_encoding="utf-8",
            delivery_mode="persistent",
            message_id=message_id,
            timestamp=int(time.time()),
            mandatory=True,  # what cannot be routed comes back, and py-amqp raises it
            reply_to=consumer.queues[0].name if by_reply else None,
        )
        while not (own := [each for each in heard if each["data"]["messageId"] == message_id]):
            connection.drain_events()
    return own[0]


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
