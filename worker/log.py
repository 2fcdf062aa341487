"""Logging set up: the only place that does it. Elsewhere ``structlog.get_logger()`` is enough.

One JSON object a line off a terminal, readable lines on one, to standard error.
"""

from __future__ import annotations

import atexit
import logging
import os
import re
import sys
import threading
from io import FileIO
from time import gmtime, strftime, time
from typing import TYPE_CHECKING, TextIO, cast

import structlog
from pydantic_core import to_json

from worker.ops.lines import Lines, Stream

if TYPE_CHECKING:
    from types import TracebackType

    from structlog.typing import EventDict, Processor

    from worker.settings import LogFormat, LogLevel

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
    render = _console(colors=on_terminal and not no_color) if as_text else _json
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


def _console(*, colors: bool) -> Processor:
    renderer = structlog.dev.ConsoleRenderer(
        colors=colors,
        force_colors=colors,
        exception_formatter=structlog.dev.plain_traceback,
        timestamp_key="time",
        repr_native_str=True,  # what publishers wrote must not steer the terminal
    )

    def render(logger: object, method: str, facts: EventDict) -> bytes:
        line = renderer(logger, method, {"time": _clock.now(), "level": method, **facts})
        return f"{line}\n".encode(errors="backslashreplace")

    return render


def _dropped(render: Processor, count: int) -> bytes:
    line = render(None, "warning", {"event": "log_lines_dropped", "lines": count})
    assert isinstance(line, bytes)  # noqa: S101 (told to the type checker, not to users)
    return line


def _unbuffered(stream: TextIO | None) -> Stream:
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
