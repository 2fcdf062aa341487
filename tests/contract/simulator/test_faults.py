from __future__ import annotations

import gzip
import http.client
import json
import time
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import TYPE_CHECKING, get_args

import pytest

from ops.simulator.commands import FORMS
from ops.simulator.faults.fault import Close, Fault, Form, Kind, Send, Wait
from ops.simulator.faults.table import BENT, PLAYS, REPLACED, steps
from ops.simulator.reply import answer
from tests.contract.simulator.caller import (
    call,
    connection,
    dial,
    heard,
    on,
    request,
    until,
)

if TYPE_CHECKING:
    from ops.simulator.control import Simulator

DUE = answer("0", 123)


def test_every_kind_and_form_that_can_be_named_exists() -> None:
    assert set(get_args(Kind)) == set(PLAYS)
    assert set(get_args(Form)) == set(FORMS)


def conversation(simulator: Simulator) -> bytes:
    """Everything that one call brings until the connection is over."""
    with dial(simulator.url) as line:
        line.sendall(request())
        return heard(line)


def body_of(reply: bytes) -> bytes:
    return reply.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("kind", ["drop_after_reading", "drop_before_reply"])
def test_a_drop_brings_nothing(simulator: Simulator, kind: Kind) -> None:
    simulator.fault(kind)
    assert conversation(simulator) == b""
    (seen,) = simulator.calls()
    assert (seen.http, seen.fault, seen.applied) == (0, kind, kind == "drop_before_reply")


def test_a_drop_after_reading_does_not_wait_for_the_latency(simulator: Simulator) -> None:
    simulator.latency("1h")
    simulator.fault("drop_after_reading")
    assert conversation(simulator) == b""


@pytest.mark.parametrize("kind", ["drop_after_reading", "drop_mid_reply", "raw"])
def test_an_end_can_be_a_reset(simulator: Simulator, kind: Kind) -> None:
    simulator.fault(kind, reset=True)
    with dial(simulator.url) as line:
        line.sendall(request())
        with pytest.raises(ConnectionResetError):
            heard(line)


def test_a_drop_in_the_headers_leaves_them_open(simulator: Simulator) -> None:
    simulator.fault("drop_mid_headers")
    reply = conversation(simulator)
    assert reply.startswith(b"HTTP/1.1 200")
    assert b"\r\n\r\n" not in reply


def test_a_drop_in_the_reply_sends_less_than_it_announced(simulator: Simulator) -> None:
    simulator.fault("drop_mid_reply")
    with pytest.raises(http.client.IncompleteRead) as cut:
        call(simulator.url)
    assert DUE.body.startswith(cut.value.partial)
    assert simulator.calls()[0].applied


def test_a_stall_ends_only_with_the_caller(simulator: Simulator) -> None:
    simulator.fault("stall")
    with dial(simulator.url) as line:
        line.sendall(request())
        until(lambda: bool(simulator.calls()))
        line.settimeout(0.05)
        with pytest.raises(TimeoutError):
            line.recv(1)
        assert simulator.calls()[0].ended is None
    until(lambda: simulator.calls()[0].ended is not None)
    (seen,) = simulator.calls()
    assert (seen.abandoned, seen.http, seen.applied) == (True, 0, False)


@pytest.mark.parametrize("code", [400, 401, 403, 404, 407, 413, 429, 500, 502, 503, 504, 599])
def test_any_http_status_comes_with_springs_error_body(simulator: Simulator, code: int) -> None:
    simulator.fault("http", code=code)
    got = call(simulator.url)
    assert (got.code, got.headers["Content-Type"]) == (code, "application/json")
    assert json.loads(got.body)["status"] == code
    (seen,) = simulator.calls()
    assert (seen.http, seen.status, seen.applied) == (code, None, False)


@pytest.mark.parametrize(
    ("form", "kind", "content"),
    [
        ("json", "application/json;charset=UTF-8", b'{"status": "-5", '),
        ("html", "text/html;charset=UTF-8", b"<!DOCTYPE html>"),
        ("empty", None, b""),
        ("given", "application/json;charset=UTF-8", "überall".encode()),
    ],
)
def test_an_http_status_comes_with_the_body_asked_for(
    simulator: Simulator, form: Form, kind: str | None, content: bytes
) -> None:
    simulator.fault("http", code=502, form=form, body="überall")
    got = call(simulator.url)
    assert (got.code, got.headers["Content-Type"]) == (502, kind)
    assert got.body.startswith(content)
    assert bool(got.body) is bool(content)


@pytest.mark.parametrize("text", ["5", "-5", "soon", "1e9", "99999999999999999999", ""])
def test_retry_after_is_sent_as_it_was_given(simulator: Simulator, text: str) -> None:
    simulator.fault("http", code=429, retry_after=text)
    assert call(simulator.url).headers["Retry-After"] == text


@pytest.mark.parametrize("ahead", ["+30", "-30"])
def test_retry_after_can_be_a_date(simulator: Simulator, ahead: str) -> None:
    simulator.fault("http", code=503, retry_after=f"date{ahead}")
    headers = call(simulator.url).headers
    gap = parsedate_to_datetime(headers["Retry-After"]) - parsedate_to_datetime(headers["Date"])
    assert gap.total_seconds() == pytest.approx(int(ahead), abs=1)


def test_headers_can_be_added(simulator: Simulator) -> None:
    simulator.fault("http", code=429, headers={"X-RateLimit-Reset": "5"})
    assert call(simulator.url).headers["X-RateLimit-Reset"] == "5"


def test_a_gateways_page_comes_with_200(simulator: Simulator) -> None:
    simulator.fault("html")
    got = call(simulator.url)
    assert got.code == 200
    assert b"<h1>" in got.body


@pytest.mark.parametrize("target", ["", "https://elsewhere.example/aivoice/taskEdit"])
def test_a_redirect_names_its_target(simulator: Simulator, target: str) -> None:
    simulator.fault("redirect", body=target)
    got = call(simulator.url)
    assert (got.code, got.headers["Location"]) == (302, target or "/aivoice/elsewhere")


def test_no_content_has_none(simulator: Simulator) -> None:
    simulator.fault("no_content", times=1)
    with connection(simulator.url) as line:
        got = on(line)
        assert (got.code, got.body, got.headers["Content-Length"]) == (204, b"", None)
        assert on(line).status == "0"


def test_a_body_can_be_given(simulator: Simulator) -> None:
    simulator.fault("body", body=b"\xff{not json")
    assert call(simulator.url).body == b"\xff{not json"
    assert not simulator.calls()[0].applied


def test_raw_bytes_take_the_place_of_http(simulator: Simulator) -> None:
    simulator.fault("raw", body=b"\x00SSH-2.0\r\n\xff")
    assert conversation(simulator) == b"\x00SSH-2.0\r\n\xff"


def test_raw_bytes_can_leave_the_caller_waiting(simulator: Simulator) -> None:
    simulator.fault("raw_open", body="HTTP/1.1 200 OK\r\nContent-Le")
    with dial(simulator.url) as line:
        line.sendall(request())
        assert heard(line, lambda got: got.endswith(b"-Le")).startswith(b"HTTP/1.1")
        line.settimeout(0.05)
        with pytest.raises(TimeoutError):
            line.recv(1)


@pytest.mark.parametrize("kind", ["drip_headers", "drip_body", "split"])
def test_a_drip_is_made_of_small_pieces_with_waits_between(kind: Kind) -> None:
    fault = Fault(kind, size=3)
    played = list(steps(fault, DUE, 0))
    pieces = [step for step in played if isinstance(step, Send) and len(step.data) <= 3]
    waits = [step for step in played if isinstance(step, Wait)]
    assert len(pieces) > 15
    assert abs(len(waits) - len(pieces)) <= 1


@pytest.mark.parametrize("kind", ["drip_headers", "drip_body", "split", "chunked", "wrong_type"])
def test_a_bent_reply_is_whole_and_the_connection_goes_on(simulator: Simulator, kind: Kind) -> None:
    simulator.fault(kind, times=1, every="1ms", size=7)
    with connection(simulator.url) as line:
        assert on(line).body == DUE.body
        assert on(line).body == DUE.body
    assert {seen.connection for seen in simulator.calls()} == {simulator.calls()[0].connection}
    assert all(seen.applied for seen in simulator.calls())


def test_an_interim_reply_comes_first(simulator: Simulator) -> None:
    for asked, code in ((102, b"102"), (503, b"103")):
        simulator.fault("interim", code=asked, times=1)
        with dial(simulator.url) as line:
            line.sendall(request())
            got = heard(line, lambda got: got.endswith(DUE.body))
        assert got.startswith(b"HTTP/1.1 " + code)
        assert b"HTTP/1.1 200 OK" in got


def test_a_wrong_type_can_be_chosen(simulator: Simulator) -> None:
    simulator.fault("wrong_type", headers={"Content-Type": "image/png"})
    assert call(simulator.url).headers["Content-Type"] == "image/png"


def test_a_chunked_reply_is_framed_as_such(simulator: Simulator) -> None:
    simulator.fault("chunked", size=16)
    got = call(simulator.url)
    assert (got.headers["Transfer-Encoding"], got.headers["Content-Length"]) == ("chunked", None)


def test_a_gzipped_reply_says_so(simulator: Simulator) -> None:
    simulator.fault("gzip")
    got = call(simulator.url)
    assert got.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(got.body) == DUE.body


def test_a_gzip_bomb_is_valid_and_large(simulator: Simulator) -> None:
    simulator.fault("gzip_bomb", size=20)
    got = call(simulator.url)
    assert len(got.body) < 100_000
    unpacked = gzip.decompress(got.body)
    assert len(unpacked) > 20 * 1024 * 1024
    assert json.loads(unpacked)["status"] == "0"
    assert not simulator.calls()[0].applied


@pytest.mark.parametrize("kind", ["endless_headers", "endless_body"])
def test_an_endless_reply_goes_on_until_the_caller_leaves(simulator: Simulator, kind: Kind) -> None:
    simulator.fault(kind)
    with dial(simulator.url) as line:
        line.sendall(request())
        got = heard(line, lambda got: len(got) > 3_000_000)
        assert (b"\r\n\r\n" in got) is (kind == "endless_body")
        simulator.clear()
        assert call(simulator.url).status == "0"  # others are served meanwhile
    until(lambda: simulator.calls()[0].ended is not None)
    assert simulator.calls()[0].abandoned


def test_a_caller_that_reads_nothing_does_not_fill_our_memory() -> None:
    endless = steps(Fault("endless_body"), DUE, 0)
    played = list(islice(endless, 1000))
    assert sum(isinstance(step, Wait) for step in played) > 400


def test_an_unframed_reply_ends_with_the_connection(simulator: Simulator) -> None:
    simulator.fault("unframed")
    reply = conversation(simulator)
    assert body_of(reply) == DUE.body
    assert b"Content-Length" not in reply


@pytest.mark.parametrize(
    ("kind", "announced"), [("close", True), ("close_silently", False), ("close_late", False)]
)
def test_a_reply_can_be_the_connections_last(
    simulator: Simulator, kind: Kind, announced: bool
) -> None:
    simulator.fault(kind, every="1ms")
    reply = conversation(simulator)
    assert body_of(reply) == DUE.body
    assert (b"Connection: close" in reply) is announced


def test_a_connection_that_ends_late_takes_a_call_with_it(simulator: Simulator) -> None:
    simulator.fault("close_late", every="100ms", times=1)
    with dial(simulator.url) as line:
        line.sendall(request())
        heard(line, lambda got: got.endswith(DUE.body))
        line.sendall(request())
        assert heard(line) == b""
    assert len(simulator.calls()) == 1


def test_junk_can_follow_a_reply(simulator: Simulator) -> None:
    simulator.fault("junk_after", body=b"\x00junk", times=1)
    with dial(simulator.url) as line:
        line.sendall(request())
        assert heard(line, lambda got: got.endswith(b"junk")).endswith(DUE.body + b"\x00junk")


def test_every_fault_says_whether_its_edit_is_applied(simulator: Simulator) -> None:
    for kind in PLAYS:
        simulator.clear(record=True)
        simulator.fault(kind, every="1ms", size=8)
        with dial(simulator.url) as line:
            line.sendall(request())
            until(lambda: bool(simulator.calls()))
        until(lambda: simulator.calls()[0].ended is not None)
        (seen,) = simulator.calls()
        assert (seen.fault, seen.applied) == (kind, kind in BENT), kind
        assert (kind in REPLACED) is not seen.applied


def test_a_fault_is_played_after_the_latency(simulator: Simulator) -> None:
    simulator.latency("60ms")
    simulator.fault("http", code=500)
    before = time.monotonic()
    assert call(simulator.url).code == 500
    assert time.monotonic() - before >= 0.059


def test_steps_that_end_the_connection_are_the_last() -> None:
    for kind in PLAYS.keys() - {"endless_body", "endless_headers"}:
        played = list(steps(Fault(kind), DUE, 0))
        assert not any(isinstance(step, Close) for step in played[:-1]), kind
