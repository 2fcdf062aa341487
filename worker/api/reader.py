"""One HTTP reply out of bytes that may come in any pieces, bounded in every direction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from worker.api.broken import BrokenCallError, cut_off, unreadable

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST_HEAD = 32 * 1024
"""Bytes of status line and headers, those of interim replies (1xx) before it included."""

LARGEST_BODY = 64 * 1024
"""Bytes of body; the API's replies are some hundred."""

_LARGEST_REPLY = LARGEST_HEAD + 4 * LARGEST_BODY
"""Bytes as they come, chunk sizes and trailers included: a chunk of one byte takes six."""


@dataclass(frozen=True, slots=True)
class HttpReply:
    """A whole HTTP reply."""

    code: int
    phrase: str
    headers: Mapping[str, str]
    """Names in lower case; a repeated one is joined by commas (RFC 9110, 5.3)."""
    body: bytes
    """As it was sent, not decompressed."""


class Reader:
    """Reads the replies of one connection, one after the other.

    Call `expect` before each request and `feed` with what comes until it gives the reply. After
    an exception the connection is of no more use. The parser is llhttp (Node's), strict by
    default: it refuses what request smuggling is made of (two lengths, a length and chunks, …).
    """

    __slots__ = (
        "_body",
        "_code",
        "_headers",
        "_headless",
        "_limit",
        "_parser",
        "_phrase",
        "_reply",
        "_room",
        "_size",
        "keeps_alive",
    )

    def __init__(self) -> None:
        self._parser = HttpResponseParser(self)
        self.expect()

    def expect(self, *, headless: bool = False) -> None:
        """Be ready for the next reply; `headless`: the request was HEAD, so no body comes."""
        self._headless = headless
        self._reply: HttpReply | None = None
        self._size = 0
        self._limit = LARGEST_HEAD
        self._room = LARGEST_BODY
        self.keeps_alive = False
        """Whether the connection is good for another request once the reply is read."""

    @property
    def begun(self) -> bool:
        """Whether any byte of the reply has come."""
        return self._size > 0

    def feed(self, data: bytes) -> HttpReply | None:
        """The reply, when `data` ends it (empty: the peer has closed); None while it goes on.

        Raises `BrokenCallError` for what is no HTTP, is too large, or ended too soon.
        """
        if not data:
            return self._ended()
        self._size += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            raise unreadable("it changes the protocol") from None
        except HttpParserError as error:
            if self._reply is None:
                raise _cause(error) from None
            self.keeps_alive = False  # a whole reply, and then junk
        if self._reply is None and self._size > self._limit:
            raise unreadable(f"it is over {self._limit} bytes and goes on")
        return self._reply

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
            self._limit = _LARGEST_REPLY
            if self._headless and self._reply is None:
                self._reply = self._whole()

    def on_body(self, data: bytes) -> None:
        """Take a piece of the body."""
        self._room -= len(data)
        if self._room < 0:
            raise unreadable(f"its body is over {LARGEST_BODY} bytes")
        self._body.append(data)

    def on_message_complete(self) -> None:
        """Give the reply, unless it was interim or is one too many."""
        if self._code >= _FINAL and self._reply is None:
            self._reply = self._whole()
            self.keeps_alive = self._parser.should_keep_alive()


_FINAL = 200  # a status below it is interim (RFC 9110, 15.2)


def _cause(error: HttpParserError) -> BrokenCallError:
    """Our own exception if one was raised while parsing, else the parser's (fixed) words."""
    own = error.__context__
    return own if isinstance(own, BrokenCallError) else unreadable(f"no HTTP ({error})")
