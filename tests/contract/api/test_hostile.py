"""Replies that are late, endless, torn or no replies at all, over TCP and over TLS."""

from __future__ import annotations

import gzip
from itertools import chain, repeat
from typing import TYPE_CHECKING

import pytest

from tests.contract.api.conftest import EDIT, TIMESTAMP
from tests.contract.api.peer import BODY, OK, Peer, Talk, http
from worker.core.reply import Answered, Reply, Shortage, Unanswered

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from tests.contract.api.conftest import Authority, NewClient
    from tests.contract.api.peer import Script

    Ask = Callable[[Script, float], Reply | Shortage | None]

BOMB = gzip.compress(b"0" * 30_000_000, mtime=0)
SUCCESS = Answered("0", "success")


@pytest.fixture(params=["tcp", "tls"])
def ask(request: pytest.FixtureRequest, new_client: NewClient, authority: Authority) -> Ask:
    """The client's reply to one call of a peer with a script, in so many seconds."""
    context: ssl.SSLContext | None = authority.server() if request.param == "tls" else None

    def asked(script: Script, seconds: float) -> Reply | Shortage | None:
        with Peer(script, context) as peer:
            client = new_client(peer.url, call=seconds, ca_file=authority.file)
            return client.call(EDIT, TIMESTAMP)

    return asked


def says(*pieces: bytes) -> Script:
    """The script that hears a request, says this, and closes."""

    def script(talk: Talk) -> None:
        talk.hear()
        for piece in pieces:
            talk.say(piece)

    return script


CHUNKED = http("200 OK", "Transfer-Encoding: chunked", body=b"", length=False)


@pytest.mark.parametrize(
    "reply",
    [
        OK,
        http("100 Continue", body=b"", length=False) + OK,
        http("103 Early Hints", "Link: </x>", body=b"", length=False) + OK,
        CHUNKED + b"2d;x=y\r\n" + BODY + b"\r\n0\r\nTrailer: x\r\n\r\n",
        CHUNKED + b"5\r\n" + BODY[:5] + b"\r\n28\r\n" + BODY[5:] + b"\r\n0\r\n\r\n",
        http(length=False),
        http("200 OK", "Connection: close"),
        OK.replace(b"HTTP/1.1", b"HTTP/1.0"),
        http("200 OK", "Content-Type: text/plain"),
        http("200 OK", "Content-Encoding: gzip", body=gzip.compress(BODY, mtime=0)),
        OK + b"surplus",
        OK + OK,
    ],
)
def test_well_framed_replies_are_answers(ask: Ask, reply: bytes) -> None:
    assert ask(says(reply), 10) == SUCCESS


def test_a_reply_in_single_bytes_is_an_answer(ask: Ask) -> None:
    def script(talk: Talk) -> None:
        talk.hear()
        talk.drip((OK[i : i + 1] for i in range(len(OK))), every=0.001)

    assert ask(script, 10) == SUCCESS


@pytest.mark.parametrize(
    ("reply", "status", "why"),
    [
        (b"", None, "closed the connection without a reply"),
        (b"HTTP/1.1 2", None, "closed the connection in the middle"),
        (OK[:-1], None, "closed the connection in the middle"),
        (CHUNKED + b"2d\r\n" + BODY, None, "closed the connection in the middle"),
        (CHUNKED + b"xyz\r\n" + BODY, None, "no HTTP"),
        (CHUNKED + b"-5\r\n" + BODY, None, "no HTTP"),
        (CHUNKED + b"2\r\n" + BODY, None, "no HTTP"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", None, "no HTTP"),
        (bytes(range(256)) * 4, None, "no HTTP"),
        (http("200 OK", "Content-Length: 3"), None, "no HTTP"),
        (http("101 Switching Protocols", "Upgrade: x", "Connection: upgrade"), None, "protocol"),
        (http(body=b"x" * 65537), None, "over 65536 bytes"),
        (http("200 OK", *["X-Long: " + "x" * 8000] * 5), None, "over 32768 bytes"),
        (http("200 OK", *["X: y"] * 9000), None, "over 32768 bytes"),
        (http("204 No Content", body=b"", length=False), "http:204", "empty body"),
        (http(body=b""), "http:200", "empty body"),
        (http("200 OK", "Content-Type: text/html", body=b"<h1>Hi"), "http:200", "HTML"),
        (http(body=b"hello"), "http:200", "no JSON"),
        (http("200 OK", "Content-Encoding: br", body=b"\x0b\x02\x80"), "http:200", "compressed"),
        (
            http(
                "200 OK", "Content-Encoding: gzip", body=gzip.compress(b"0" * 30_000_000, mtime=0)
            ),
            "http:200",
            "compressed",
        ),
        (http("500 Oops", body=b'{"status":0}'), "http:500", "HTTP 500"),
        (http("502 Bad Gateway", "Content-Type: text/html"), "http:502", "HTTP 502"),
    ],
)
def test_what_is_no_answer(ask: Ask, reply: bytes, status: str | None, why: str) -> None:
    result = ask(says(reply), 10)
    assert isinstance(result, Unanswered)
    assert result.status == status
    assert why in result.detail


@pytest.mark.parametrize(
    "reply",
    [
        OK.replace(b"\r\n", b"\n"),
        http("200 OK", "X-Folded: a", "\tb"),
        http("200 OK", "X-Blank : a"),
        http("200 OK", f"Content-Length: {len(BODY)}"),
        http("200 OK", f"Content-Length: +{len(BODY)}", length=False),
        CHUNKED + b"2d  \r\n" + BODY + b"\r\n0\r\n\r\n",
        http("200 OK", "X-Control: a\x01\x00\x7fb"),
    ],
    ids=["bare LF", "folded", "blank", "length twice", "+N", "chunk size", "control"],
)
def test_a_slip_that_every_client_overlooks_is_an_answer_and_ends_its_connection(
    reply: bytes, new_client: NewClient
) -> None:
    """The peer would go on; we do not, for who slips once may not mean what we read next."""

    def script(talk: Talk) -> None:
        while talk.hear():
            talk.say(reply)

    with Peer(script) as peer:
        client = new_client(peer.url)
        assert [client.call(EDIT, TIMESTAMP) for _ in range(2)] == [SUCCESS] * 2
        assert peer.connections == 2


@pytest.mark.parametrize("encoding", ["", "none", "identity", "utf-8", "identity, none", "br"])
def test_an_encoding_that_is_none_does_not_hide_the_answer(encoding: str, ask: Ask) -> None:
    assert ask(says(http("200 OK", f"Content-Encoding: {encoding}")), 10) == SUCCESS


@pytest.mark.parametrize(
    "head",
    [
        (f"Content-Length: {len(BODY) + 1}",),
        ("Transfer-Encoding: chunked",),
        ("Transfer-Encoding : chunked",),
        (f"Content-Length : {len(BODY) - 1}",),
    ],
)
def test_what_smuggles_is_refused_and_ends_its_connection(
    head: tuple[str, ...], new_client: NewClient
) -> None:
    """Two lengths, or a length and chunks: beside the right Content-Length that `http` adds."""

    def script(talk: Talk) -> None:
        while talk.hear():
            talk.say(http("200 OK", *head) if len(talk.peer.requests) == 1 else OK)

    with Peer(script) as peer:
        client = new_client(peer.url)
        reply = client.call(EDIT, TIMESTAMP)
        assert isinstance(reply, Unanswered)
        assert "no HTTP" in reply.detail
        assert client.call(EDIT, TIMESTAMP) == SUCCESS
        assert peer.connections == 2


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(ask: Ask, code: int) -> None:
    visitors: list[int] = []

    def script(talk: Talk) -> None:
        visitors.append(talk.number)
        talk.hear()
        location = f"Location: {talk.peer.url}/elsewhere"
        talk.say(http(f"{code} Elsewhere", location, "Connection: close", body=b""))

    assert ask(script, 10) == Answered(f"http:{code}")
    assert visitors == [1]


def silent(talk: Talk) -> None:
    talk.hear()
    talk.stay()


def deaf(talk: Talk) -> None:
    talk.stay()


def drips_head(talk: Talk) -> None:
    talk.hear()
    talk.drip(chain([b"HTTP/1.1 200 OK\r\n"], repeat(b"X-Drip: drop\r\n", 1000), [OK]))


def drips_body(talk: Talk) -> None:
    talk.hear()
    talk.drip(chain([http(body=b"", length=False)], repeat(b" ", 1000)))


def drips_chunks(talk: Talk) -> None:
    talk.hear()
    talk.drip(chain([CHUNKED], repeat(b"1\r\n \r\n", 1000)))


def drips_interim_replies(talk: Talk) -> None:
    talk.hear()
    talk.drip(repeat(http("102 Processing", body=b"", length=False), 1000))


def stalls_in_the_body(talk: Talk) -> None:
    talk.hear()
    talk.say(OK[:-3])
    talk.stay()


@pytest.mark.parametrize(
    "script",
    [
        silent,
        deaf,
        drips_head,
        drips_body,
        drips_chunks,
        drips_interim_replies,
        stalls_in_the_body,
    ],
)
def test_one_deadline_is_for_the_whole_call(ask: Ask, script: Script) -> None:
    """Left alone, each of these would go on for 20 s, or end in something else."""
    assert ask(script, 0.3) == Unanswered("no whole reply within 0.3 s")


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (http(body=b"", length=False), b"x" * 60_000),
        (CHUNKED, b"8000\r\n" + b"x" * 0x8000 + b"\r\n"),
        (b"HTTP/1.1 200 OK\r\n", b"X-Endless: header\r\n" * 1000),
        (b"", http("100 Continue", body=b"", length=False) * 1000),
    ],
)
def test_what_has_no_end_is_left_soon(ask: Ask, start: bytes, more: bytes) -> None:
    def script(talk: Talk) -> None:
        talk.hear()
        for piece in chain([start], repeat(more, 10_000)):
            talk.say(piece)

    reply = ask(script, 10)
    assert isinstance(reply, Unanswered)
    assert "bytes" in reply.detail


def test_a_reset_in_the_middle_is_no_answer(ask: Ask) -> None:
    def script(talk: Talk) -> None:
        talk.hear()
        talk.say(OK[:40])
        talk.reset()

    reply = ask(script, 10)
    assert isinstance(reply, Unanswered)
    assert "closed the connection" in reply.detail
