"""A caller of the provider's API, as plain as can be: http.client and bare sockets."""

from __future__ import annotations

import http.client
import json
import socket
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ops.simulator.sign import signature

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

DEADLINE = 10.0
KEY, SECRET = "demo-key", "demo-secret"
EDIT = {
    "appId": "app-1",
    "jobId": 123,
    "name": "spring campaign",
    "dialogFlowId": 8663,
    "mode": "MANUAL",
    "dailyStartDateTime": "09:00",
    "dailyEndDateTime": "20:00",
    "robotCount": 1,
    "jobPhoneNumberId": 2959,
    "redial": False,
}


def body(**changes: Any) -> bytes:  # noqa: ANN401 - a wrong type is what some tests want
    """An edit that the provider takes, with some fields changed."""
    return json.dumps(EDIT | changes).encode()


def signed(key: str = KEY, secret: str = SECRET, *, ahead: float = 0) -> dict[str, str]:
    """The three headers, by a clock that is `ahead` seconds ahead."""
    timestamp = str(int(time.time() + ahead))
    return {"Sign": signature(key, secret, timestamp), "Timestamp": timestamp, "Api-Key": key}


@dataclass(frozen=True, slots=True)
class Got:
    """A reply: HTTP status, headers, and the body as it came."""

    code: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def status(self) -> object:
        """The API's own status."""
        return json.loads(self.body)["status"]


def call(url: str, content: bytes = b"", headers: Mapping[str, str] | None = None) -> Got:
    """One call on a connection of its own."""
    with connection(url) as line:
        return on(line, content, headers)


@contextmanager
def connection(url: str) -> Iterator[http.client.HTTPConnection]:
    """A connection that is kept from call to call."""
    with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=DEADLINE)) as line:
        yield line


def on(
    line: http.client.HTTPConnection,
    content: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> Got:
    """One call on this connection."""
    line.request("POST", "/aivoice/taskEdit", content or body(), signed() | dict(headers or {}))
    reply = line.getresponse()
    return Got(reply.status, reply.headers, reply.read())


def request(content: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
    """The bytes of a call, for a bare socket."""
    content = content or body()
    fields = signed() | {"Host": "x", "Content-Length": str(len(content))} | dict(headers or {})
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"POST /aivoice/taskEdit HTTP/1.1\r\n{lines}\r\n".encode() + content


def dial(url: str) -> socket.socket:
    """A bare connection."""
    address = urlsplit(url)
    return socket.create_connection((address.hostname, address.port or 0), DEADLINE)


def heard(line: socket.socket, enough: Callable[[bytes], bool] = lambda _: False) -> bytes:
    """What comes in until it is `enough`, or until the other side has ended the connection."""
    got = b""
    while not enough(got):
        data = line.recv(65536)
        if not data:
            break
        got += data
    return got


def until(happened: Callable[[], bool]) -> None:
    """Wait for a condition, with a deadline."""
    deadline = time.monotonic() + DEADLINE
    while not happened():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.005)
