"""How a proxy tells the simulator whose calls come over a connection.

The first request on it is a call with the replica's name as its API key. The simulator refuses
and records it, and that is the point: in its record each connection begins with a name.
"""

from __future__ import annotations

import re

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_END = b"\r\n\r\n"


def greeting(name: str) -> bytes:
    """The call that introduces `name`."""
    lines = (
        "POST /aivoice/taskEdit HTTP/1.1",
        "Host: simulator",
        f"Api-Key: {name}",
        "Content-Length: 2",
    )
    return "\r\n".join(lines).encode() + _END + b"{}"


class Greeting:
    """Swallows the answer to a greeting; with none to wait for it is answered from the start."""

    __slots__ = ("_buffer", "answered")

    def __init__(self, sent: bytes) -> None:
        self.answered = not sent
        self._buffer = b""

    def rest(self, data: bytes) -> bytes:
        """What of `data` lies behind the answer; empty until the answer is whole."""
        self._buffer += data
        head, end, body = self._buffer.partition(_END)
        length = _LENGTH.search(head)
        if not end or length is None or len(body) < int(length[1]):
            return b""
        self.answered = True
        return body[int(length[1]) :]
