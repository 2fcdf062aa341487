"""The log: set up here and nowhere else, written in batches by a thread of its own.

One JSON object a line off a terminal, readable lines on one, to standard error. Nobody who logs
ever waits for a pipe. Elsewhere ``structlog.get_logger()`` is enough.
"""

from __future__ import annotations

import atexit
import logging
import os
import re
import sys
import threading
from collections import deque
from contextlib import suppress
from io import FileIO
from queue import Empty, SimpleQueue
from threading import Event, Thread
from time import gmtime, sleep, strftime, time
from typing import TYPE_CHECKING, Protocol, TextIO, cast

import structlog
from pydantic_core import to_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from structlog.typing import EventDict, Processor

    from worker.settings import LogFormat, LogLevel


LINGER = 0.05
"""Seconds that a line may wait for company."""
URGENT_AT = 500
"""Lines in hand that are not to wait any longer."""
MOST_LINES = 20_000
"""Held while nobody reads; what comes then is dropped, and how many were is said afterwards."""


class ByteStream(Protocol):
    """What lines are written to, unbuffered; may block, and raise `OSError` when it is gone."""

    def write(self, batch: memoryview, /) -> int | None:
        """Take some bytes; how many, or None when there is no room at the moment."""


class Lines:
    """A stream's lines, in the order of the calls.

    Any thread may call any method, and a signal may come in the middle of any: hence the simple
    queue, which unlike a lock lets a thread in twice.
    """

    def __init__(
        self,
        stream: ByteStream,
        dropped_line: Callable[[int], bytes],
        *,
        linger: float = LINGER,
        most: int = MOST_LINES,
    ) -> None:
        """Start the thread; it sleeps as long as nobody logs.

        `dropped_line` gives the line that says how many were dropped.
        """
        self._linger = linger
        self._most = most
        self._stream = stream
        self._dropped_line = dropped_line
        self._dropped = 0
        self._lines: deque[bytes] = deque()
        self._asked: deque[Event] = deque()
        self._wake: SimpleQueue[bool] = SimpleQueue()
        self._awake = False
        self._urgent = False
        self._closed = False
        self._thread = Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def put(self, line: bytes) -> None:
        """Have a line written within `LINGER`; it ends with a line end."""
        self._lines.append(line)
        if not self._awake:
            self._awake = True
            self._wake.put(item=False)
        elif len(self._lines) > URGENT_AT:
            self._crowded()

    def put_now(self, line: bytes) -> None:
        """Have a line written, and those before it, without delay."""
        self._lines.append(line)
        self._hurry()

    def flush(self, seconds: float) -> bool:
        """Wait until all lines so far are out; False if nobody took them within `seconds`."""
        done = Event()
        self._asked.append(done)
        self._hurry()
        return done.wait(seconds)

    def close(self, seconds: float) -> bool:
        """Flush, and end the thread."""
        flushed = self.flush(seconds)
        self._closed = True
        self._wake.put(item=True)
        return flushed

    def _crowded(self) -> None:
        if len(self._lines) > self._most:
            self._lines.pop()
            self._dropped += 1
        self._hurry()

    def _hurry(self) -> None:
        if not self._urgent:
            self._awake = self._urgent = True
            self._wake.put(item=True)

    def _run(self) -> None:
        while not self._closed:
            if not self._wake.get():
                with suppress(Empty):
                    self._wake.get(timeout=self._linger)
            self._awake = self._urgent = False  # before looking: what comes after wakes us again
            asked = [self._asked.popleft() for _ in range(len(self._asked))]
            self._write(self._batch())
            for done in asked:
                done.set()

    def _batch(self) -> bytes:
        lines = [self._lines.popleft() for _ in range(len(self._lines))]
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            lines.append(self._dropped_line(dropped))
        return b"".join(lines)

    def _write(self, batch: bytes) -> None:
        rest = memoryview(batch)
        try:
            while rest:
                taken = self._stream.write(rest)
                if taken is None:
                    sleep(self._linger)
                rest = rest[taken or 0 :]
        except OSError:
            return  # nobody reads any more, and there is nowhere else to say so


LAST_WORDS = 2.0
"""Seconds that the end of the process may wait for its last lines to be taken."""
_NUMBERS: dict[LogLevel, int] = {
    "debug": 10,
    "info": 20,
    "warning": 30,
    "error": 40,
    "critical": 50,
}
_CHATTERS = {"pika": logging.CRITICAL, "urllib3": logging.WARNING}
"""pika calls every lost connection an error, and we tell of those ourselves."""
_STEERING = re.compile(
    "[\\x7f-\\x9f\\u061c\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb]"
)
"""Controls, line and paragraph separators, and what is invisible or changes the direction."""
_COLOR = re.compile(r"\x1b\[[0-9;]*m")
_OURS = ("time", "level")
"""What every line has; a fact of that name gets another."""

log = structlog.get_logger()


class _Level:
    """The level in force: a value of its own, so that it can change under cached loggers."""

    number = _NUMBERS["info"]


def set_level(name: LogLevel) -> None:
    """Log what is at least this important, from now on."""
    _Level.number = _NUMBERS[name]


def level() -> LogLevel:
    """The level in force."""
    return next(name for name, number in _NUMBERS.items() if number == _Level.number)


def configure(
    level: LogLevel, form: LogFormat, *, no_color: bool = False, stream: TextIO | None = None
) -> Lines:
    """Send all logging of the process to `stream` (standard error), uncaught exceptions too.

    Called once. What is in hand when the process ends is written then; before an `os._exit` it
    has to be flushed.
    """
    stream = stream or sys.stderr
    on_terminal = stream is not None and stream.isatty()
    as_text = form == "console" or (form == "auto" and on_terminal)
    terminal = stream.fileno() if on_terminal else None
    render = _console(terminal, colors=on_terminal and not no_color) if as_text else _json
    lines = Lines(_unbuffered(stream), lambda count: _dropped(render, count))
    structlog.configure(  # noqa: TID251 (the one place)
        processors=[_important, render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=lambda *_: _Out(lines),
        cache_logger_on_first_use=True,
    )
    set_level(level)
    _route_others()
    atexit.register(lines.flush, LAST_WORDS)
    return lines


class _Out:
    """Where structlog puts rendered lines: trouble goes out at once, the rest in batches."""

    def __init__(self, lines: Lines) -> None:
        self.debug = self.info = lines.put
        self.warning = self.error = self.critical = lines.put_now


def _important(_: object, method: str, facts: EventDict) -> EventDict:
    if _NUMBERS[cast("LogLevel", method)] < _Level.number:  # its methods are the levels
        raise structlog.DropEvent
    for name in _OURS:
        if name in facts:
            facts[f"{name}_"] = facts.pop(name)
    return facts


class _Clock:
    """RFC 3339 in UTC with milliseconds; date and time are only worked out once a second."""

    known = (0, "")

    def now(self) -> str:
        moment = time()
        second = int(moment)
        known = self.known
        if known[0] != second:
            self.known = known = (second, strftime("%Y-%m-%dT%H:%M:%S", gmtime(second)))
        return f"{known[1]}.{int((moment - second) * 1000):03d}Z"


_clock = _Clock()


def _json(logger: object, method: str, facts: EventDict) -> bytes:
    event = facts.pop("event", None)
    line: EventDict = {"time": _clock.now(), "level": method, "event": event, **facts}
    if "exc_info" in line:
        line = structlog.processors.format_exc_info(logger, method, line)
    try:
        text = to_json(line, fallback=repr, inf_nan_mode="strings")
    except ValueError:  # a lone surrogate, say: a log line is never the reason for a failure
        text = to_json({key: _plain(value) for key, value in line.items()})
    return (text if text.isascii() else _steerless(text)) + b"\n"


def _steerless(text: bytes) -> bytes:
    """JSON without characters that break lines or turn the text around, which JSON allows."""
    return _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text.decode()).encode()


def _plain(value: object) -> str:
    return str(value).encode(errors="backslashreplace").decode()


def _console(terminal: int | None, *, colors: bool) -> Processor:
    """Lines for people, that fit the terminal of this file descriptor if it is one."""
    renderer = structlog.dev.ConsoleRenderer(
        colors=colors,
        force_colors=colors,
        exception_formatter=structlog.dev.plain_traceback,
        timestamp_key="time",
        repr_native_str=True,  # what publishers wrote must not steer the terminal
    )

    def render(logger: object, method: str, facts: EventDict) -> bytes:
        line = str(renderer(logger, method, {"time": _clock.now(), "level": method, **facts}))
        with suppress(OSError):  # the terminal is gone, or it was none
            if terminal is not None and (columns := os.get_terminal_size(terminal).columns):
                line = _fitted(line, columns)
        return f"{line}\n".encode(errors="backslashreplace")

    return render


def _fitted(text: str, columns: int) -> str:
    """The first line broken at spaces so that its parts fit; what it is coloured by has no width.

    What follows it is a traceback, and stays as it is.
    """
    first, newline, rest = text.partition("\n")
    parts, used = "", 0
    for word in first.split(" "):
        size = len(_COLOR.sub("", word))
        if used and used + 1 + size > columns:
            parts, used = f"{parts.rstrip(' ')}\n    {word}", 4 + size
        else:
            parts, used = f"{parts} {word}" if parts else word, used + size + bool(parts)
    return parts + newline + rest


def _dropped(render: Processor, count: int) -> bytes:
    line = render(None, "warning", {"event": "log_lines_dropped", "lines": count})
    assert isinstance(line, bytes)  # noqa: S101 (told to the type checker, not to users)
    return line


def _unbuffered(stream: TextIO | None) -> ByteStream:
    """The stream without its buffer, whose lock, held while nobody reads, aborts Python's end."""
    if stream is None:  # the process was started without a standard error
        return FileIO(os.devnull, "wb")
    try:
        return FileIO(stream.fileno(), "wb", closefd=False)
    except OSError:  # a stand-in that is no file, as in tests
        return stream.buffer


class _Routed(logging.Handler):
    """Libraries log through the standard library; their lines come out like ours."""

    def emit(self, record: logging.LogRecord) -> None:
        name = next((name for name, level in _NUMBERS.items() if record.levelno <= level), "error")
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            message = str(record.msg)
        facts = {"exc_info": record.exc_info} if record.exc_info else {}
        getattr(log, name)("library", logger=record.name, message=message, **facts)


def _route_others() -> None:
    logging.basicConfig(handlers=[_Routed()], level=logging.WARNING, force=True)
    logging.captureWarnings(capture=True)
    for name, level in _CHATTERS.items():
        logging.getLogger(name).setLevel(level)
    sys.excepthook = _crashed
    threading.excepthook = _thread_crashed


def _crashed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    log.critical("crashed", exc_info=(kind, error, trace))


def _thread_crashed(crash: threading.ExceptHookArgs) -> None:
    if crash.exc_value is not None and not isinstance(crash.exc_value, SystemExit):
        name = crash.thread.name if crash.thread else None
        trace = (crash.exc_type, crash.exc_value, crash.exc_traceback)
        log.critical("thread_crashed", thread=name, exc_info=trace)
