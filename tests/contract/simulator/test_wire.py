from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.contract.simulator.caller import (
    body,
    call,
    connection,
    dial,
    heard,
    on,
    request,
    signed,
)

if TYPE_CHECKING:
    from ops.simulator.control import Simulator


@pytest.mark.parametrize("size", [1, 7, 64])
def test_a_request_may_come_in_any_pieces(simulator: Simulator, size: int) -> None:
    data = request()
    with dial(simulator.url) as line:
        for place in range(0, len(data), size):
            line.sendall(data[place : place + size])
        assert b'"status": "0"' in heard(line, lambda got: got.endswith(b"}"))


def test_a_chunked_request_is_read(simulator: Simulator) -> None:
    headers = "".join(f"{name}: {value}\r\n" for name, value in signed().items())
    start = f"POST /aivoice/taskEdit HTTP/1.1\r\nTransfer-Encoding: chunked\r\n{headers}\r\n"
    half, rest = body()[:50], body()[50:]
    chunks = b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(half), half, len(rest), rest)
    with dial(simulator.url) as line:
        line.sendall(start.encode() + chunks)
        assert b'"status": "0"' in heard(line, lambda got: got.endswith(b"}"))


def test_a_caller_that_asks_first_is_told_to_go_on(simulator: Simulator) -> None:
    data = request(headers={"Expect": "100-continue"})
    head, _, content = data.partition(b"\r\n\r\n")
    with dial(simulator.url) as line:
        line.sendall(head + b"\r\n\r\n")
        assert heard(line, lambda got: b"\r\n\r\n" in got) == b"HTTP/1.1 100 Continue\r\n\r\n"
        line.sendall(content)
        assert b'"status": "0"' in heard(line, lambda got: got.endswith(b"}"))


def test_a_caller_that_wants_the_connection_closed_gets_that(simulator: Simulator) -> None:
    with dial(simulator.url) as line:
        line.sendall(request(headers={"Connection": "close"}))
        assert b"Connection: close" in heard(line)


@pytest.mark.parametrize(
    "garbage", [b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"POST / HTTP/9.9\r\n\r\n"]
)
def test_garbage_is_refused(simulator: Simulator, garbage: bytes) -> None:
    with dial(simulator.url) as line:
        line.sendall(garbage)
        assert heard(line).startswith(b"HTTP/1.1 400")
    assert call(simulator.url).status == "0"


def test_a_huge_body_is_refused(simulator: Simulator) -> None:
    with dial(simulator.url) as line:
        line.sendall(request(headers={"Content-Length": str(10**9)}))
        block = b" " * 1024 * 1024
        try:
            for _ in range(64):
                line.sendall(block)
            reply = heard(line)
        except ConnectionError:
            reply = b"HTTP/1.1 413"
        assert reply.startswith(b"HTTP/1.1 413")
    assert call(simulator.url).status == "0"


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/aivoice/taskEdit", 405),
        ("POST", "/aivoice/taskedit", 404),
        ("POST", "/aivoice/taskEdit/", 404),
        ("GET", "/", 404),
    ],
)
def test_another_address_is_springs_error(
    simulator: Simulator, method: str, path: str, code: int
) -> None:
    with connection(simulator.url) as line:
        line.request(method, path, b"{}")
        reply = line.getresponse()
        assert (reply.status, json.loads(reply.read())["path"]) == (code, path)
    assert simulator.calls() == []


@pytest.mark.parametrize("query", ["calls?since=nan", "summary?since=soon", "calls?since=inf"])
def test_a_bad_number_in_a_query_is_named(simulator: Simulator, query: str) -> None:
    with connection(simulator.url) as line:
        line.request("GET", f"/_simulator/{query}")
        reply = line.getresponse()
        assert reply.status == 400
        assert json.loads(reply.read())["error"].startswith(query.partition("?")[0])


def test_a_query_does_not_hide_the_address(simulator: Simulator) -> None:
    with dial(simulator.url) as line:
        line.sendall(request().replace(b"taskEdit ", b"taskEdit?a=b "))
        assert b'"status": "0"' in heard(line, lambda got: got.endswith(b"}"))


def test_many_calls_share_a_connection(simulator: Simulator) -> None:
    with connection(simulator.url) as line:
        assert {on(line).status for _ in range(50)} == {"0"}
    assert len({each.connection for each in simulator.calls()}) == 1
