"""Every kind of fault and what it plays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.simulator.faults import bent, replaced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ops.simulator.faults.fault import Fault, Kind, Step
    from ops.simulator.reply import Reply

    Play = Callable[[Reply, Fault, float], Iterator[Step]]

# The edit is not applied.
REPLACED: dict[Kind, Play] = {
    "http": replaced.http,
    "html": replaced.html,
    "redirect": replaced.redirect,
    "no_content": replaced.no_content,
    "body": replaced.body,
    "raw": replaced.raw,
    "raw_open": replaced.raw_open,
    "drop_after_reading": replaced.drop,
    "stall": replaced.stall,
    "endless_headers": replaced.endless_headers,
    "endless_body": replaced.endless_body,
    "gzip_bomb": replaced.gzip_bomb,
}
# The edit is judged as usual.
BENT: dict[Kind, Play] = {
    "drop_before_reply": replaced.drop,
    "drop_mid_headers": bent.drop_mid_headers,
    "drop_mid_reply": bent.drop_mid_reply,
    "drip_headers": bent.drip_headers,
    "drip_body": bent.drip_body,
    "split": bent.split,
    "chunked": bent.chunked,
    "gzip": bent.packed,
    "unframed": bent.unframed,
    "wrong_type": bent.wrong_type,
    "interim": bent.interim,
    "close": bent.close,
    "close_silently": bent.close_silently,
    "close_late": bent.close_late,
    "junk_after": bent.junk_after,
}
PLAYS: dict[Kind, Play] = REPLACED | BENT

_SEEN: dict[Kind, int] = {
    "html": 200,
    "redirect": 302,
    "no_content": 204,
    "raw": 0,
    "raw_open": 0,
    "drop_after_reading": 0,
    "stall": 0,
    "drop_before_reply": 0,
    "drop_mid_headers": 0,
}


def steps(fault: Fault, due: Reply, now: float) -> Iterator[Step]:
    """How the connection is to act; `due` is the usual reply, `now` the provider's epoch."""
    return PLAYS[fault.kind](due, fault, now)


def seen(fault: Fault, due: Reply) -> int:
    """The HTTP status that the caller gets to see, 0 for none."""
    return fault.code if fault.kind == "http" else _SEEN.get(fault.kind, due.code)
