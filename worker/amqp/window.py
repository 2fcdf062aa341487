"""Messages that one channel holds for a command, until it settles them or gives them back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pika.exceptions import ChannelWrongStateError

if TYPE_CHECKING:
    from pika.channel import Channel


class Window:
    """Letters of one channel, all unacked until they are settled."""

    def __init__(self, channel: Channel, wanted: int) -> None:
        self.alive = True
        self.channel = channel
        self.wanted = wanted
        self.count = 0
        self.unacked = 0

    def ack(self, tag: int) -> None:
        """Take one letter out of the queue for good."""
        if self.alive and self.channel.is_open:
            self.unacked -= 1
            self.channel.basic_ack(tag)

    def give_back(self) -> None:
        """Close without a cancel: everything unacked goes back in order."""

        def keep_consuming(*_: object, **__: object) -> None:
            """Stand in for `basic_cancel`, which pika's `close` calls for every consumer."""

        self.alive = False
        self.channel.basic_cancel = keep_consuming  # type: ignore[method-assign]
        try:
            self.channel.close()
        except ChannelWrongStateError:
            return  # closing or closed already
