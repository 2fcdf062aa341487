"""A fault as it was asked for, and the steps that faults are made of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

Kind = Literal[
    "http",
    "html",
    "redirect",
    "no_content",
    "body",
    "raw",
    "raw_open",
    "drop_after_reading",
    "stall",
    "endless_headers",
    "endless_body",
    "gzip_bomb",
    "drop_before_reply",
    "drop_mid_headers",
    "drop_mid_reply",
    "drip_headers",
    "drip_body",
    "split",
    "chunked",
    "gzip",
    "unframed",
    "wrong_type",
    "interim",
    "close",
    "close_silently",
    "close_late",
    "junk_after",
]
Form = Literal["spring", "json", "html", "empty", "given"]


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong. Each kind reads only the parts that it needs; README.md says which.

    `every`: between two drips. `size`: bytes of a piece, MiB of a bomb. `reset`: end
    with RST instead of FIN.
    """

    kind: Kind
    code: int = 503
    form: Form = "spring"
    retry_after: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    every: timedelta = timedelta(milliseconds=100)
    size: int = 1
    reset: bool = False


@dataclass(frozen=True, slots=True)
class Send:
    """Write these bytes."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Wait:
    """Let this time pass, in seconds (0: let others have a turn)."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Hang:
    """Do nothing until the caller has left."""


@dataclass(frozen=True, slots=True)
class Close:
    """End the connection, with RST when `reset`."""

    reset: bool = False


Step = Send | Wait | Hang | Close
