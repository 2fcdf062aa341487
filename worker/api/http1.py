"""HTTP/1.1 on one connection: a request out, its reply in, under one deadline and within bounds."""

from __future__ import annotations

import re
import select
import socket
import ssl
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser
from requests.exceptions import RequestException

from worker.api.errors import broken, cut_off, late_reply, unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LARGEST_HEAD = 32 * 1024
"""Bytes of status line and headers, those of interim replies (1xx) before it included."""

LARGEST_BODY = 64 * 1024
"""Bytes of body; the API's replies are some hundred."""

_CHUNKED = 4
"""How much larger a body may be as it comes, with the sizes of its chunks and trailers."""

_PIECE = 16 * 1024
"""Bytes to read at once: a TLS record at most."""

NOT_YET = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
"""What a non-blocking socket raises when it would have to wait."""


@dataclass(frozen=True, slots=True)
class HttpReply:
    """A whole HTTP reply."""

    code: int
    phrase: str
    headers: Mapping[str, str]
    """Names in lower case; a repeated one is joined by commas (RFC 9110, 5.3)."""
    body: bytes
    """As it was sent, not decompressed."""


class ReplyReader:
    """Reads the replies of one connection, one after the other.

    Call `expect` before each request and `feed` with what comes until it gives the reply. After
    an exception the connection is of no more use.

    The parser is llhttp (Node's), which is strict. A reply that it refuses for a slip which other
    clients overlook (line ends, blanks, control characters, the same length twice) is read once
    more with its head put right, and the connection closed after it, so that no doubt about where
    this reply ends touches the next. What request smuggling is made of (two different lengths, a
    length and chunks) is refused all the same.
    """

    __slots__ = (
        "_body",
        "_code",
        "_headers",
        "_headless",
        "_largest",
        "_lenient",
        "_limit",
        "_parser",
        "_phrase",
        "_pieces",
        "_reply",
        "_room",
        "_size",
        "keeps_alive",
    )

    def __init__(self, largest_body: int = LARGEST_BODY) -> None:
        self._parser = HttpResponseParser(self)
        self._largest = largest_body
        self.expect()

    def expect(self, *, headless: bool = False) -> None:
        """Be ready for the next reply; `headless`: no body comes, whatever the head says.

        So it is after HEAD, and after a CONNECT that was granted.
        """
        self._headless = headless
        self._reply: HttpReply | None = None
        self._pieces: list[bytes] = []
        self._lenient = False
        self._size = 0
        self._limit = LARGEST_HEAD
        self._room = self._largest
        self.keeps_alive = False
        """Whether the connection is good for another request once the reply is read."""

    @property
    def begun(self) -> bool:
        """Whether any byte of the reply has come."""
        return self._size > 0

    def feed(self, data: bytes) -> HttpReply | None:
        """The reply, when `data` ends it (empty: the peer has closed); None while it goes on.

        Raises `RequestException` for what is no HTTP, is too large, or ended too soon.
        """
        if not data:
            return self._ended()
        self._size += len(data)
        self._pieces.append(data)
        try:
            self._parse(data)
        except HttpParserUpgrade:
            raise unreadable("it changes the protocol") from None
        except HttpParserError as error:
            if isinstance(error.__context__, RequestException):  # our own, raised while parsing
                raise error.__context__ from None
            if self._reply is None:
                raise unreadable(f"no HTTP ({error})") from None
            self.keeps_alive = False  # a whole reply, and then junk
        if self._reply is None and self._size > self._limit:
            raise unreadable(f"it is over {self._limit} bytes and goes on")
        return self._reply

    def _parse(self, data: bytes) -> None:
        if self._lenient and self._limit == LARGEST_HEAD:
            self._parse_leniently()
            return
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            raise
        except HttpParserError as error:
            ours = isinstance(error.__context__, RequestException)
            if ours or self._lenient or self._reply is not None:
                raise
            self._lenient = True
            self._parse_leniently()

    def _parse_leniently(self) -> None:
        """Read all that has come once more, with its head put right."""
        strict = _put_right(b"".join(self._pieces))
        if strict is None:
            self._limit = LARGEST_HEAD  # the head goes on
            return
        self._limit = LARGEST_HEAD
        self._room = self._largest
        self._parser = HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(
            lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self._parser.feed_data(strict)

    def _ended(self) -> HttpReply:
        """A reply with neither length nor chunks ends with the connection; no other may."""
        if self._limit == LARGEST_HEAD:
            raise cut_off(begun=self.begun)
        if self._headers.keys() & {"content-length", "transfer-encoding"}:
            raise cut_off(begun=True)
        return self._whole()

    def _whole(self) -> HttpReply:
        phrase = self._phrase.decode("latin-1")
        return HttpReply(self._code, phrase, self._headers, b"".join(self._body))

    # What follows is called by the parser, in this order; all but the last several times.

    def on_message_begin(self) -> None:
        """Start anew: at the first byte, and after an interim reply (1xx)."""
        self.keeps_alive = False  # after a whole reply: that was one too many
        self._phrase = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []

    def on_status(self, phrase: bytes) -> None:
        """Take the status line's words, or a piece of them."""
        self._phrase += phrase

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; one after the body is a trailer and says nothing that we need."""
        if self._limit != LARGEST_HEAD:
            return
        key, text = name.decode("latin-1").lower(), value.decode("latin-1").strip()
        headers = self._headers
        headers[key] = f"{headers[key]}, {text}" if key in headers else text

    def on_headers_complete(self) -> None:
        """Expect the body, unless the reply is interim or has none."""
        self._code = self._parser.get_status_code()
        if self._size > LARGEST_HEAD:  # this piece may hold body too, so count what was headers
            size = sum(len(name) + len(value) for name, value in self._headers.items())
            if size > LARGEST_HEAD:
                raise unreadable(f"its headers are over {LARGEST_HEAD} bytes")
        if self._code >= _FINAL:
            self._limit = LARGEST_HEAD + _CHUNKED * self._largest
            if self._headless and self._reply is None:
                self._reply = self._whole()

    def on_body(self, data: bytes) -> None:
        """Take a piece of the body."""
        self._room -= len(data)
        if self._room < 0:
            raise unreadable(f"its body is over {self._largest} bytes")
        self._body.append(data)

    def on_message_complete(self) -> None:
        """Give the reply, unless it was interim or is one too many."""
        if self._code >= _FINAL and self._reply is None:
            self._reply = self._whole()
            self.keeps_alive = not self._lenient and self._parser.should_keep_alive()


_FINAL = 200  # a status below it is interim (RFC 9110, 15.2)

_HEAD_END = re.compile(rb"\n\r?\n")
_INTERIM = re.compile(rb"HTTP/1\.\d 1(?!01)\d\d")
_CONTROLS = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


def _put_right(data: bytes) -> bytes | None:
    """A reply from its final head on, that head as RFC 9112 wants it; None while it goes on."""
    while True:
        data = data.lstrip(b"\r\n")
        if not b"HTTP/1.".startswith(data[:7]):
            raise unreadable("no HTTP (it does not begin with HTTP/1)")
        end = _HEAD_END.search(data)
        if end is None:
            return None
        head, data = data[: end.start()], data[end.end() :]
        if not _INTERIM.match(head):
            return _head_put_right(head) + data


def _head_put_right(head: bytes) -> bytes:
    """Line ends, folded lines, blanks before a colon, control characters and lengths put right.

    As RFC 9112 (2.2, 5.2, 6.3) and RFC 9110 (5.5, 8.6) allow who receives them. Lengths that
    differ stay two, for the parser to refuse.
    """
    first, *lines = [line.removesuffix(b"\r") for line in head.split(b"\n")]
    fields: list[bytes] = []
    for line in lines:
        if line[:1] in (b" ", b"\t") and fields:
            fields[-1] += b" " + line.strip()
        else:
            fields.append(line)
    right, lengths = [first], set()
    for field in fields:
        name, colon, value = field.partition(b":")
        name = name.rstrip(b" \t")
        if name.lower() == b"content-length":
            lengths |= {length.strip(b" \t").removeprefix(b"+") for length in value.split(b",")}
        else:
            right.append(name + colon + _CONTROLS.sub(b" ", value))
    right += [b"Content-Length: " + length for length in sorted(lengths)]
    return b"\r\n".join([*right, b"", b""])


class Stream(Protocol):
    """What a connection needs of a non-blocking socket, with TLS or without."""

    def fileno(self) -> int:
        """Its descriptor."""

    def send(self, data: bytes | memoryview, /) -> int:
        """Send some, and say how much; raises one of `NOT_YET`."""

    def recv(self, size: int, /) -> bytes:
        """Some of what has come, empty at the end; raises one of `NOT_YET`."""

    def close(self) -> None:
        """Give the descriptor back."""


class HttpConnection:
    """A connected, non-blocking socket (TLS or not) and the reader of what comes on it.

    The socket itself never waits; the one place that does is `_wait`, which knows the deadline.
    So a peer that drips bytes, TLS records or nothing at all makes no difference. A call whose
    reply comes in one piece takes three system calls: send, poll, recv.
    """

    __slots__ = ("_deadline", "_poll", "_reader", "_seconds", "_sock", "good_until")

    def __init__(self, sock: Stream, largest_body: int = LARGEST_BODY) -> None:
        self._sock = sock
        self._reader = ReplyReader(largest_body)
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self.good_until = 0.0

    def exchange(
        self,
        request: bytes,
        seconds: float,
        *,
        headless: bool = False,
        sent: Callable[[], None] | None = None,
    ) -> HttpReply:
        """Send `request` whole and read its reply, in `seconds` altogether.

        `sent` is called in between. `RequestException` if there is no reply; the connection is of
        no more use then.
        """
        self._seconds = seconds
        self._deadline = monotonic() + seconds
        self._reader.expect(headless=headless)
        try:
            self._send(request)
            if sent is not None:
                sent()
            return self._receive()
        except RequestException:  # which is an OSError too
            raise
        except OSError as error:
            raise broken(error, begun=self._reader.begun) from None

    @property
    def keeps_alive(self) -> bool:
        """Whether the reply just read lets another request follow."""
        return self._reader.keeps_alive

    def is_quiet(self) -> bool:
        """Whether nothing has come since the last reply: no end, no error, no stray bytes.

        To be asked before each further request. TLS itself may have had something to say
        (tickets), which is no harm.
        """
        if not self._poll.poll(0):
            return True
        if type(self._sock) is socket.socket:
            return False
        try:
            self._sock.recv(1)
        except ssl.SSLWantReadError:
            return True
        except OSError:
            return False
        return False

    def close(self) -> None:
        """Shut the connection; any number of times."""
        self._sock.close()

    def _send(self, request: bytes) -> None:
        rest: bytes | memoryview = request
        while True:
            try:
                sent = self._sock.send(rest)
            except NOT_YET as error:
                self._wait(wanted(error, select.POLLOUT))
                continue
            if sent == len(rest):
                return
            rest = memoryview(rest)[sent:]

    def _receive(self) -> HttpReply:
        event = select.POLLIN
        while True:
            self._wait(event)
            try:
                data = self._sock.recv(_PIECE)
            except NOT_YET as error:
                event = wanted(error, select.POLLIN)
                continue
            reply = self._reader.feed(data)
            if reply is not None:
                return reply

    def _wait(self, event: int) -> None:
        """Until the socket is ready or the deadline is over."""
        if event != select.POLLIN:
            self._poll.modify(self._sock, event)
        try:
            left = self._deadline - monotonic()
            if left <= 0 or not self._poll.poll(left * 1000):
                raise late_reply(self._seconds)
        finally:
            if event != select.POLLIN:
                self._poll.modify(self._sock, select.POLLIN)


def wanted(error: OSError, usual: int) -> int:
    """What to wait for; TLS may have to read before it can write, and the other way round."""
    match error:
        case ssl.SSLWantReadError():
            return select.POLLIN
        case ssl.SSLWantWriteError():
            return select.POLLOUT
        case _:
            return usual
