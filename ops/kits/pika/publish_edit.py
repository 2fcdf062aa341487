#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["pika>=1.4.4,<2"]
# ///
"""Publish one task edit and wait for its outcome with pika alone; the worker checks the edit.

For systems that take nothing of this project into theirs. The kit in `python/` checks beforehand.
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

import pika
from pika.exceptions import AMQPError, ChannelClosedByBroker, NackError, UnroutableError

APPLIED, REJECTED, ABSENT, LATE = 0, 1, 69, 75
NAMESPACE = os.environ.get("TASKEDIT_NAMESPACE", "task-edit")
SERVERS = os.environ.get("TASKEDIT_AMQP_URL", "amqp://guest:guest@localhost:5672/%2F")


class LateError(BaseException):
    """Time is up. Like KeyboardInterrupt it passes through pika, which catches Exception."""


def main() -> int:
    """Do it; the exit code."""
    arguments = _arguments()
    message_id = arguments.message_id or str(uuid4())
    try:
        app_id = str(json.loads(arguments.body)["appId"])
    except (ValueError, KeyError, TypeError) as error:
        print(f"Not sent: appId is required, as the routing key ({error!r})", file=sys.stderr)
        return REJECTED
    # BlockingChannel waits for a confirm without end, hence an alarm; again each second, for
    # closing might wait, too.
    signal.signal(signal.SIGALRM, _late)
    signal.setitimer(signal.ITIMER_REAL, arguments.timeout, 1)
    try:
        event = outcome(arguments.body, app_id, message_id, by_reply=arguments.by == "reply")
    except LateError:
        code, said = LATE, "No outcome in time."
    except NackError:
        code, said = LATE, "RabbitMQ refused it, for a queue is full."
    except (UnroutableError, ChannelClosedByBroker) as error:
        code, said = ABSENT, f"Not routed: is the worker's topology there? {error!r}."
    except AMQPError as error:
        code, said = ABSENT, f"RabbitMQ: {error!r}."
    else:
        print(json.dumps(event, ensure_ascii=False))
        return REJECTED if event["data"]["outcome"] == "rejected" else APPLIED
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    print(f"{said} Safe to repeat: --message-id {message_id}", file=sys.stderr)
    return code


def outcome(body: bytes, app_id: str, message_id: str, *, by_reply: bool) -> dict[str, Any]:
    """Publish the edit; return its event, by `reply_to` or from the events' exchange.

    Waits without end, hence the alarm. Raises what pika raises.
    """
    connection = pika.BlockingConnection([pika.URLParameters(each) for each in SERVERS.split(",")])
    try:
        channel = connection.channel()
        channel.confirm_delivery()
        # First the ear, then the word: an event that nobody waits for yet is gone.
        queue = channel.queue_declare("", exclusive=True).method.queue
        if not by_reply:
            # As the appId is written here, so a misspelt one is heard of, too; _ for an edit that
            # cannot be read. Bound by the appId that one means, this would wait in vain.
            for key in ("_", app_id if re.fullmatch(r"[A-Za-z0-9_-]{1,100}", app_id) else "_"):
                channel.queue_bind(queue, f"{NAMESPACE}.events", f"*.{key}")
        properties = pika.BasicProperties(
            content_type="application/json",
            delivery_mode=pika.DeliveryMode.Persistent,
            message_id=message_id,
            timestamp=int(time.time()),
            reply_to=queue if by_reply else None,
        )
        channel.basic_publish(NAMESPACE, app_id, body, properties, mandatory=True)
        for _, _, heard in channel.consume(queue, auto_ack=True):
            event: dict[str, Any] = json.loads(heard)
            if event["data"]["messageId"] == message_id:
                return event
        raise AMQPError("the queue is gone")
    finally:
        if connection.is_open:
            connection.close()


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
