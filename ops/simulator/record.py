"""The record of every call: columns, so that a million calls are some tens of megabytes."""

from __future__ import annotations

import json
from array import array
from bisect import bisect_left
from dataclasses import dataclass, field
from math import isnan, nan

THROTTLED, OVERLAP, TRAILING, APPLIED, ABANDONED = 1, 2, 4, 8, 16
_NO_COLUMNS = frozenset({"_first", "_texts"})


@dataclass(slots=True)
class Names:
    """Texts by small numbers; 0 is None."""

    _numbers: dict[str | None, int] = field(default_factory=lambda: {None: 0})
    _texts: list[str | None] = field(default_factory=lambda: [None])

    def number(self, text: str | None) -> int:
        """The number of this text, given now if it has none."""
        known = self._numbers.get(text)
        if known is None:
            known = self._numbers[text] = len(self._texts)
            self._texts.append(text)
        return known

    def text(self, number: int) -> str | None:
        """The text with this number."""
        return self._texts[number]


@dataclass(frozen=True, slots=True)
class Arrival:
    """A call as it arrived; `arrived` epoch seconds, `digest` the first 8 bytes of SHA-256."""

    arrived: float
    connection: int
    account: str | None
    app_id: str | None
    job: int | None
    name: str | None
    digest: bytes


class Record:
    """Rows in the order of arrival; a row's number counts from 1 and is never used again."""

    __slots__ = (
        "_accounts",
        "_api",
        "_apps",
        "_arrived",
        "_connections",
        "_digests",
        "_ended",
        "_faults",
        "_first",
        "_flags",
        "_http",
        "_jobs",
        "_name_ends",
        "_names",
        "_texts",
    )

    def __init__(self) -> None:
        """Start empty."""
        self._texts = Names()
        self._first = 1
        self._empty()

    def _empty(self) -> None:
        self._arrived, self._ended = array("d"), array("d")
        self._accounts, self._apps, self._api, self._faults = (array("I") for _ in range(4))
        self._connections, self._digests = array("I"), array("Q")
        self._jobs = array("q")
        self._http, self._flags = array("H"), array("B")
        self._names, self._name_ends = bytearray(), array("L")

    def __len__(self) -> int:
        return len(self._arrived)

    @property
    def last(self) -> int:
        """The number of the latest call, 0 before the first."""
        return self._first + len(self._arrived) - 1

    def holds(self, number: int) -> bool:
        """Whether this call is in the record and not forgotten."""
        return self._first <= number <= self.last

    def begin(self, call: Arrival, flags: int = 0) -> int:
        """Note a call; its number."""
        number = self._texts.number
        self._arrived.append(call.arrived)
        self._ended.append(nan)
        self._accounts.append(number(call.account))
        self._apps.append(number(call.app_id))
        self._api.append(0)
        self._faults.append(0)
        self._connections.append(call.connection)
        self._digests.append(int.from_bytes(call.digest[:8], "big"))
        self._jobs.append(0 if call.job is None else call.job)
        self._http.append(0)
        self._flags.append(flags)
        if call.name is not None:
            self._names += call.name.encode("utf-8", "surrogatepass")
        self._name_ends.append(len(self._names))
        return self.last

    def abandon(self, number: int) -> None:
        """Note that the caller left before it had its answer."""
        if self.holds(number):
            self._flags[number - self._first] |= ABANDONED

    def end(
        self,
        number: int,
        ended: float,
        *,
        http: int,
        api: str | None,
        fault: str | None,
        flags: int,
    ) -> None:
        """Note the answer of a call held: `http` 0 when none was sent, `flags` to be added."""
        row = number - self._first
        self._ended[row] = ended
        self._http[row] = http
        self._api[row] = self._texts.number(api)
        self._faults[row] = self._texts.number(fault)
        self._flags[row] |= flags

    def forget(self) -> int:
        """Drop all rows; how many there were. Numbers go on."""
        count = len(self._arrived)
        self._first += count
        self._empty()
        return count

    def number(self, row: int) -> int:
        """The number of the call in this row."""
        return self._first + row

    def row_after(self, number: int) -> int:
        """The row of the first call with a number above this one."""
        return max(0, number + 1 - self._first)

    def row_at(self, moment: float) -> int:
        """The row of the first call that arrived at `moment` (epoch) or later."""
        return bisect_left(self._arrived, moment)

    def footprint(self) -> int:
        """Bytes that the rows take."""
        columns = (getattr(self, name) for name in self.__slots__ if name not in _NO_COLUMNS)
        return sum(len(column) * getattr(column, "itemsize", 1) for column in columns)

    def is_answered(self, row: int) -> bool:
        """Whether the call of this row is over."""
        return not isnan(self._ended[row])

    def glance(self, row: int) -> tuple[str | None, float, int, int, str | None]:
        """Account, arrival, flags, http status, api status: what a summary needs of a row."""
        text = self._texts.text
        return (
            text(self._accounts[row]),
            self._arrived[row],
            self._flags[row],
            self._http[row],
            text(self._api[row]),
        )

    def line(self, row: int) -> str:
        """A row as one line of JSON, the fields of `control.Call`."""
        text, flags = self._texts.text, self._flags[row]
        start = self._name_ends[row - 1] if row else 0
        name = self._names[start : self._name_ends[row]].decode("utf-8", "surrogatepass")
        return json.dumps(
            {
                "seq": self.number(row),
                "arrived": self._arrived[row],
                "ended": None if isnan(self._ended[row]) else self._ended[row],
                "connection": self._connections[row],
                "account": text(self._accounts[row]),
                "app_id": text(self._apps[row]),
                "job": self._jobs[row] or None,
                "name": name or None,
                "http": self._http[row],
                "status": text(self._api[row]),
                "fault": text(self._faults[row]),
                "digest": f"{self._digests[row]:016x}",
                "applied": bool(flags & APPLIED),
                "throttled": bool(flags & THROTTLED),
                "overlap": bool(flags & OVERLAP),
                "trailing": bool(flags & TRAILING),
                "abandoned": bool(flags & ABANDONED),
            }
        )
