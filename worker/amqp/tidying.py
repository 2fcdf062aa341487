"""Lanes reconciled with what is theirs: unbound from what is not, and looked for when left over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pika.channel import Channel
    from pika.connection import Connection
    from pika.frame import Method
    from pika.spec import Queue

    from schemas import Names
    from worker.core.unrouted import Unbinding

log = structlog.get_logger()


class Tidier:
    """Asks on a channel of its own, so that a refusal disturbs no lane; one question at a time."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._connection: Connection | None = None

    def start(self, connection: Connection) -> None:
        """Ask on this connection from now on."""
        self._connection = connection

    def connection_lost(self) -> None:
        """Whatever was asked is asked again on the next connection, by whoever asked."""
        self._connection = None

    def unbind(self, unbindings: Iterable[Unbinding], done: Callable[[Unbinding], None]) -> None:
        """Undo bindings one after the other; `done` is told each. A missing lane has none."""
        todo = list(unbindings)

        def proceed(channel: Channel) -> None:
            if not todo:
                channel.close()
                return
            one = todo.pop(0)

            def gone(_: object) -> None:
                done(one)
                if channel.is_open:
                    proceed(channel)

            queue = self._names.lane(one.lane)
            channel.queue_unbind(queue, self._names.exchange, one.key, callback=gone)

        self._open(proceed)

    def count(self, account: str, counted: Callable[[int | None, int], None]) -> None:
        """How many edits wait in a lane (None: there is no such lane), and how many consumers."""
        answered = False

        def closed(_: object, error: Exception) -> None:
            if not answered and getattr(error, "reply_code", None) == NOT_FOUND:
                counted(None, 0)

        def found(frame: Method[Queue.DeclareOk]) -> None:
            nonlocal answered
            answered = True
            counted(frame.method.message_count, frame.method.consumer_count)

        def ask(channel: Channel) -> None:
            def answer(frame: Method[Queue.DeclareOk]) -> None:
                found(frame)
                channel.close()

            channel.add_on_close_callback(closed)
            channel.queue_declare(self._names.lane(account), passive=True, callback=answer)

        self._open(ask)

    def _open(self, use: Callable[[Channel], None]) -> None:
        if self._connection is not None and self._connection.is_open:
            self._connection.channel(on_open_callback=use)


NOT_FOUND = 404
"""RabbitMQ's reply code for a queue that is not there (AMQP 0-9-1)."""
