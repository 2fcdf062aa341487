from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests.exceptions import RequestException

from worker.api.http1 import LARGEST_BODY, LARGEST_HEAD, HttpReply, ReplyReader

OK = b'HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 14\r\n\r\n{"status":"0"}'
WHOLE = HttpReply(200, "OK", {"date": "now", "content-length": "14"}, b'{"status":"0"}')


def read(*pieces: bytes, headless: bool = False) -> tuple[HttpReply, bool]:
    """The reply that the pieces make (b"": the peer closes), and whether the peer goes on."""
    reader = ReplyReader()
    reader.expect(headless=headless)
    for piece in pieces:
        reply = reader.feed(piece)
        if reply is not None:
            return reply, reader.keeps_alive
    raise AssertionError("the reply goes on")


def goes_on(*pieces: bytes) -> bool:
    """Whether the pieces make no whole reply yet, and no bad one either."""
    reader = ReplyReader()
    return not any(reader.feed(piece) for piece in pieces)


def http(head: str, body: bytes = b"") -> bytes:
    """Status line and headers, written with line feeds, and a body."""
    return head.replace("\n", "\r\n").encode("latin-1") + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    ("data", "code", "body", "keeps_alive"),
    [
        (OK, 200, b'{"status":"0"}', True),
        (http("HTTP/1.1 200\nContent-Length: 2", b"hi"), 200, b"hi", True),
        (http("HTTP/1.1 204 No Content"), 204, b"", True),
        (http("HTTP/1.1 304 Not Modified\nContent-Length: 5"), 304, b"", True),
        (http("HTTP/1.1 200 OK\nContent-Length: 0"), 200, b"", True),
        (http("HTTP/1.1 200 OK\nConnection: close\nContent-Length: 2", b"hi"), 200, b"hi", False),
        (http("HTTP/1.0 200 OK\nContent-Length: 2", b"hi"), 200, b"hi", False),
        (
            http("HTTP/1.0 200 OK\nConnection: keep-alive\nContent-Length: 2", b"hi"),
            200,
            b"hi",
            True,
        ),
        (
            http(
                "HTTP/1.1 200 OK\nTransfer-Encoding: chunked",
                b"2\r\nhi\r\n3;x=y\r\n ho\r\n0\r\nTrailer: t\r\n\r\n",
            ),
            200,
            b"hi ho",
            True,
        ),
        (http("HTTP/1.1 100 Continue") + OK, 200, b'{"status":"0"}', True),
        (
            http("HTTP/1.1 103 Early Hints\nLink: x") + http("HTTP/1.1 102 Processing") + OK,
            200,
            b'{"status":"0"}',
            True,
        ),
        (b"\r\n\r\n" + OK, 200, b'{"status":"0"}', True),
        (http("HTTP/1.1 503 Service Unavailable\nContent-Length: 2", b"no"), 503, b"no", True),
        (OK + OK, 200, b'{"status":"0"}', False),
        (OK + b"H", 200, b'{"status":"0"}', False),
        (OK + b"junk", 200, b'{"status":"0"}', False),
        (OK + b"\x00", 200, b'{"status":"0"}', False),
    ],
)
def test_a_reply_is_read_in_one_piece_and_byte_by_byte(
    data: bytes, code: int, body: bytes, keeps_alive: bool
) -> None:
    reply, kept = read(data)
    assert (reply.code, reply.body, kept) == (code, body, keeps_alive)
    bytewise, _ = read(*(data[i : i + 1] for i in range(len(data))))
    assert bytewise == reply


def test_headers_are_joined_and_interim_ones_and_trailers_left_out() -> None:
    data = http("HTTP/1.1 103 Early Hints\nLink: x") + http(
        "HTTP/1.1 200 So So\nX-A:  1  \nx-a: 2\nEmpty:\nA-b: no\nTransfer-Encoding: chunked",
        b"0\r\nX-A: 3\r\n\r\n",
    )
    assert read(data)[0] == HttpReply(
        200,
        "So So",
        {"x-a": "1, 2", "empty": "", "a-b": "no", "transfer-encoding": "chunked"},
        b"",
    )


def test_a_reply_without_length_ends_with_the_connection() -> None:
    assert read(http("HTTP/1.1 200 OK", b"to the "), b"end", b"") == (
        HttpReply(200, "OK", {}, b"to the end"),
        False,
    )


def test_the_reply_to_head_has_no_body_whatever_its_length_says() -> None:
    data = http("HTTP/1.1 200 OK\nContent-Length: 500")
    assert read(data, headless=True) == (
        HttpReply(200, "OK", {"content-length": "500"}, b""),
        False,
    )
    assert read(data + b"surplus", headless=True)[0].body == b""


@pytest.mark.parametrize(
    ("pieces", "why"),
    [
        ([b""], "without a reply"),
        ([b"HTTP/1.1 200", b""], "in the middle"),
        ([OK[:-1], b""], "in the middle"),
        ([http("HTTP/1.1 200 OK\nTransfer-Encoding: chunked", b"2\r\nhi\r\n"), b""], "middle"),
        ([http("HTTP/1.1 200 OK\nTransfer-Encoding: gzip", b"xx"), b""], "in the middle"),
        ([http("HTTP/1.1 100 Continue"), b""], "in the middle"),
        ([b"SSH-2.0-OpenSSH_9.2\r\n"], "no HTTP"),
        ([b"\x15\x03\x01\x00\x02\x02\x28"], "no HTTP"),
        ([http("HTTP/1.1 200 OK\nContent-Length: 2\nContent-Length: 3", b"hi")], "no HTTP"),
        ([http("HTTP/1.1 200 OK\nContent-Length: 2\nTransfer-Encoding: chunked")], "no HTTP"),
        ([http("HTTP/1.1 200 OK\nContent-Length : 2\nTransfer-Encoding : chunked")], "no HTTP"),
        ([http("HTTP/1.1 200 OK\nContent-Length: 2, 3", b"hi")], "no HTTP"),
        ([http("HTTP/1.1 200 OK\nContent-Length: 2\nContent-Length: +3", b"hi")], "no HTTP"),
        ([http("HTTP/1.1 200 OK\nContent-Length: 2\rContent-Length: 3", b"hi")], "no HTTP"),
        ([http("HTTP/1.1 200 OK\n Content-Length: 2", b"hi")], "no HTTP"),
        ([http("HTTP/1.1 200 OK\nContent-Length:", b"hi")], "no HTTP"),
        ([http("HTTP/1.1 200 OK\nTransfer-Encoding: chunked", b"zz\r\n")], "no HTTP"),
        ([http("HTTP/1.1 200 OK\nTransfer-Encoding: chunked", b"-1\r\n")], "no HTTP"),
        ([http("HTTP/1.1 200 OK\nTransfer-Encoding: chunked", b"2\r\nhijk\r\n")], "no HTTP"),
        ([http("HTTP/1.1 200 OK\nTransfer-Encoding: chunked", b"f" * 20 + b"\r\n")], "no HTTP"),
        ([http("HTTP/1.1 200 OK\nContent-Length: -2")], "no HTTP"),
        ([http("HTTP/1.1 200 OK\nContent-Length: 99999999999999999999")], "no HTTP"),
        ([http("HTTP/1.1 200 OK\nBad\x00Name: x")], "no HTTP"),
        ([http("HTTP/1.1 101 Switching Protocols\nUpgrade: h2c\nConnection: upgrade")], "protocol"),
    ],
)
def test_a_bad_reply_is_refused(pieces: list[bytes], why: str) -> None:
    with pytest.raises(RequestException, match=why):
        read(*pieces)


@pytest.mark.parametrize(
    "pieces",
    [
        [http("HTTP/1.1 200 OK\nContent-Length: 2\nContent-Length: 2", b"hi")],
        [http("HTTP/1.1 100 Continue") + b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi"],
        [b"HTTP/1.1 100 Continue\n\nHTTP/1.1 200 OK\nContent-Length: 2\n\nhi"],
        [b"HTTP/1.1 200 OK\n", b"Content-Length: 2\n", b"\nh", b"i"],
        [b"HTTP/1.1 200 OK\r\nX : y", b"\r\n\r\nh", b"i", b""],
        [http("HTTP/1.1 200 OK\nX: a\x00b\nContent-Length: 2", b"hi and more")],
        [http("HTTP/1.1 200 OK\nContent-Length: 2, +2", b"hi")],
        [http("HTTP/1.1 200 OK\nTransfer-Encoding:\n chunked", b"2\r\nhi\r\n0\r\n\r\n")],
        [http("HTTP/1.1 200 OK\nTransfer-Encoding: chunked", b"2 \r\nhi\r\n0 \r\n\r\n")],
    ],
)
def test_a_slip_where_nothing_is_at_stake_is_overlooked_and_the_connection_given_up(
    pieces: list[bytes],
) -> None:
    reply, keeps_alive = read(*pieces)
    assert (reply.code, reply.body, keeps_alive) == (200, b"hi", False)
    whole = b"".join(pieces)
    assert read(*(whole[i : i + 1] for i in range(len(whole))), b"")[0].body == b"hi"


def test_one_slip_does_not_make_the_next_connection_lenient() -> None:
    """A reader is for one connection, and that ends with a slip; `expect` starts strict anyway."""
    reader = ReplyReader()
    assert reader.feed(b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi") is not None
    reader.expect()
    assert reader.feed(OK) == WHOLE


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"X-Endless: header\r\n"),
        (b"HTTP/1.1 200 OK\r\nX-Endless: ", b"header " * 100),
        (b"HTTP/1.1 200 ", b"endless phrase " * 100),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"", b"\r\n" * 100),
        (http("HTTP/1.1 200 OK"), b"endless body " * 100),
        (http("HTTP/1.1 200 OK\nContent-Length: 99999999"), b"long body " * 100),
        (http("HTTP/1.1 200 OK\nTransfer-Encoding: chunked"), b"5\r\nabcde\r\n" * 100),
        (http("HTTP/1.1 200 OK\nTransfer-Encoding: chunked"), b"1\r\na\r\n" * 100),
        (http("HTTP/1.1 200 OK\nTransfer-Encoding: chunked") + b"1;x=", b"endless-extension"),
        (http("HTTP/1.1 200 OK\nTransfer-Encoding: chunked") + b"0\r\n", b"Trailer: endless\r\n"),
    ],
)
def test_what_has_no_end_is_refused_soon(start: bytes, more: bytes) -> None:
    enough = 2 * (LARGEST_HEAD + 4 * LARGEST_BODY) // len(more)
    with pytest.raises(RequestException, match=r"over .* bytes"):
        read(start or more, *([more] * enough))


def test_the_largest_body_is_still_taken() -> None:
    body = b"x" * LARGEST_BODY
    data = http(f"HTTP/1.1 200 OK\nContent-Length: {len(body)}", body)
    assert read(data)[0].body == body
    with pytest.raises(RequestException, match="over 65536 bytes"):
        read(http(f"HTTP/1.1 200 OK\nContent-Length: {len(body) + 1}", body + b"x"))


def test_one_reader_reads_the_replies_of_a_connection() -> None:
    reader = ReplyReader()
    for _ in range(3):
        reader.expect()
        begun = [reader.begun]
        assert reader.feed(OK[:20]) is None
        begun.append(reader.begun)
        assert reader.feed(OK[20:]) == WHOLE
        assert begun == [False, True]
        assert reader.keeps_alive


@given(st.integers(0, len(OK) - 1))
def test_a_part_of_a_reply_is_no_reply(length: int) -> None:
    assert goes_on(*([OK[:length]] if length else []))


PARTS = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.0 ",
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Connection: close\r\n",
        b"X: y\r\n",
        b"\r\n",
        b"\r",
        b"\n",
        b"5\r\nhello\r\n",
        b"0\r\n\r\n",
        b"hello",
        b"",
        OK,
    ]
)


@given(st.lists(PARTS | st.binary(max_size=20), max_size=20))
def test_any_bytes_are_a_reply_or_refused(pieces: list[bytes]) -> None:
    match outcome(pieces):
        case HttpReply(code=code, body=body):
            assert 200 <= code <= 999
            assert len(body) <= LARGEST_BODY
        case str(detail):
            assert detail.isprintable()
            assert len(detail) < 200


@given(st.lists(PARTS, max_size=12).map(b"".join), st.data())
def test_how_a_reply_is_cut_makes_no_difference(whole: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(whole)), max_size=6)) | {0, len(whole)})
    pieces = [whole[a:b] for a, b in pairwise(cuts) if a < b]
    assert outcome(pieces) == outcome([whole] if whole else [])


def outcome(pieces: list[bytes]) -> HttpReply | str:
    """The reply, or why it was refused."""
    try:
        return read(*pieces, b"")[0]
    except RequestException as error:
        return str(error)
