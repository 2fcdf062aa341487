"""What the simulator tells of the calls it saw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Call:
    """One call; moments are epoch seconds of one clock.

    `arrived`: last byte of the request; `ended`: last byte of the answer, or the
    moment it was given up; None while under way. `http` 0: no reply was sent;
    `status` None: none with an API status. `throttled`: refused by the rate limit.
    `overlap`: at its arrival another call of the job was under way and its caller
    there; `trailing`: one was under way whose caller had left. `abandoned`: its own
    caller left before the end. `digest`: first 16 hex digits of the body's SHA-256.
    """

    seq: int
    arrived: float
    ended: float | None
    connection: int
    account: str | None
    app_id: str | None
    job: int | None
    name: str | None
    http: int
    status: str | None
    fault: str | None
    digest: str
    applied: bool
    throttled: bool
    overlap: bool
    trailing: bool
    abandoned: bool


@dataclass(frozen=True, slots=True)
class Summary:
    """Sums of one account's calls.

    `peak`: most arrivals in any sliding second, `peak_admitted` without those that
    the limit refused. `used`: share of the tightest limit, None without one.
    `statuses`: answers by API status, `http:503` or `none`.
    """

    calls: int
    applied: int
    throttled: int
    overlaps: int
    trailing: int
    abandoned: int
    peak: int
    peak_admitted: int
    first: float | None
    last: float | None
    used: float | None
    statuses: Mapping[str, int]
