"""The proxy between worker and API cuts what it says it cuts."""

from __future__ import annotations

import socket
import time
from threading import Event
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.kit import until
from tests.chaos.proxy import CLEAR, Network, Weather

if TYPE_CHECKING:
    from tests.chaos.proxy import Proxy

POST = b"POST /aivoice/taskEdit HTTP/1.1\r\napi-key: k\r\ncontent-length: 2\r\n\r\n{}"


def holds(proxy: Proxy, *, left: bool) -> bool:
    """Whether it holds a request back, and knows that its sender has gone."""
    return any(pair._held and (pair._left or not left) for pair in proxy.pairs)  # noqa: SLF001


@pytest.mark.parametrize("leaves", [False, True])
def test_what_a_cut_connection_held_back_reaches_nobody(*, leaves: bool) -> None:
    """The worker was told that its call is over, and makes it again."""
    with Network() as network, socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        proxy = network.proxy(server.getsockname()[1])
        proxy.turn(Weather(still=True))
        with socket.create_connection(("127.0.0.1", proxy.port)) as client:
            client.sendall(POST)
            if leaves:
                client.close()
            until(lambda: holds(proxy, left=leaves))

            proxy.reset()
            proxy.turn(CLEAR)

            end, _ = server.accept()
            end.settimeout(10)
            with end:
                try:
                    heard = end.recv(1000)
                except ConnectionError:
                    heard = b""
    assert heard == b""


def test_a_call_that_came_while_the_network_was_held_up_is_known_to_be_seen_late() -> None:
    go_on = Event()
    with Network() as network, socket.create_server(("127.0.0.1", 0)) as server:
        proxy = network.proxy(server.getsockname()[1])
        with socket.create_connection(("127.0.0.1", proxy.port)) as client:
            until(lambda: proxy.pairs)
            proxy.loop.call_soon_threadsafe(go_on.wait, 10)
            until(lambda: time.time() - network.looked > 0.1)
            client.sendall(POST)
            until(lambda: time.time() - network.looked > 0.2)
            go_on.set()
            until(lambda: proxy.sent)
    assert proxy.sent[0].late > 0.2
