from __future__ import annotations

import errno
import socket
from contextlib import ExitStack, closing, suppress
from http.client import HTTPConnection
from threading import Event, Thread
from typing import TYPE_CHECKING

import pytest

from tests.unit.observability.builders import probes
from worker.observability import http as server
from worker.observability.http import Server, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

WITHIN = 20.0
"""Seconds after which a test gives up."""

EVERY_IPV4 = "0.0.0.0"  # noqa: S104 (for the length of a test)


@pytest.fixture
def serving() -> Iterator[Server]:
    serving = serve(("127.0.0.1", 0), probes())
    yield serving
    serving.close()


def got(address: tuple[str, int], path: str = "/livez") -> tuple[int, bytes]:
    connection = HTTPConnection(*address, timeout=WITHIN)
    with closing(connection):
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()


def connected(address: tuple[str, int]) -> socket.socket:
    return socket.create_connection(address, timeout=WITHIN)


def all_of(client: socket.socket) -> bytes:
    """Everything until the server hangs up, however it does."""
    found = []
    with suppress(ConnectionError):
        while more := client.recv(65536):
            found.append(more)
    return b"".join(found)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", EVERY_IPV4, "::1", "::"])
def test_it_listens_where_it_is_told(host: str) -> None:
    serving = serve((host, 0), probes())
    try:
        name, port = serving.address
        assert port > 0
        to = {EVERY_IPV4: "127.0.0.1", "::": "127.0.0.1"}.get(name, name)
        assert got((to, port)) == (200, b"ok\n")
    finally:
        serving.close()


def test_an_address_in_use_is_an_error(serving: Server) -> None:
    with pytest.raises(OSError, match="in use") as error:
        serve(serving.address, probes())

    assert error.value.errno == errno.EADDRINUSE


def test_once_closed_it_is_gone_and_its_address_free() -> None:
    first = serve(("127.0.0.1", 0), probes())
    assert got(first.address)[0] == 200
    first.close()

    with pytest.raises(ConnectionRefusedError):
        connected(first.address)
    second = serve(first.address, probes())
    assert got(second.address) == (200, b"ok\n")
    second.close()


def test_a_head_in_pieces_is_understood(serving: Server) -> None:
    with connected(serving.address) as client:
        for piece in (b"GET /li", b"vez HTTP/1.1\r\nHo", b"st: x\r\n", b"\r\n"):
            client.sendall(piece)
        assert all_of(client).endswith(b"\r\n\r\nok\n")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400"),
        (b"GET /livez HTTP/1.1\r\n" + b"X: y\r\n" * 5000, b"431"),
        (b"POST /livez HTTP/1.1\r\nContent-Length: 9\r\n\r\nsomething", b"405"),
    ],
    ids=["TLS", "endless", "body"],
)
def test_garbage_is_answered_and_hurts_nobody(serving: Server, sent: bytes, status: bytes) -> None:
    with connected(serving.address) as client:
        client.sendall(sent)
        assert all_of(client).startswith(b"HTTP/1.1 " + status)

    assert got(serving.address) == (200, b"ok\n")


def test_a_large_answer_to_one_who_does_not_read_holds_up_nobody() -> None:
    text = b"x" * 16_000_000
    serving = serve(("127.0.0.1", 0), probes(metrics=lambda: text))
    try:
        with connected(serving.address) as client:
            client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
            assert got(serving.address) == (200, b"ok\n")
            assert all_of(client).endswith(text)
    finally:
        serving.close()


def test_more_clients_than_it_keeps_are_served_all_the_same(serving: Server) -> None:
    with ExitStack() as stack:
        silent = [
            stack.enter_context(connected(serving.address))
            for _ in range(server.MOST_CONNECTIONS + 20)
        ]
        assert got(serving.address) == (200, b"ok\n")
        assert all_of(silent[0]) == b""  # the oldest had to go


def test_a_client_that_drips_is_cut_off() -> None:
    serving = serve(("127.0.0.1", 0), probes(), lifetime=0.2)
    cut = Event()
    with connected(serving.address) as client:

        def drip() -> None:
            try:
                while not cut.wait(0.01):
                    client.sendall(b"x")
            except OSError:
                pass

        dripping = Thread(target=drip)
        dripping.start()
        try:
            assert all_of(client) == b""
        finally:
            cut.set()
            dripping.join()
            serving.close()


def test_it_answers_while_other_threads_are_stuck(serving: Server) -> None:
    stuck = Event()
    threads = [Thread(target=stuck.wait, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        assert got(serving.address) == (200, b"ok\n")
    finally:
        stuck.set()
