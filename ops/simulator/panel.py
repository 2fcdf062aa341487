"""The control paths, `/_simulator/…`: what can be read there; README.md lists all."""

from __future__ import annotations

import json
from math import isfinite
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from ops.simulator import reply
from ops.simulator.commands import COMMANDS, MistakeError
from ops.simulator.faults.fault import Send, Wait
from ops.simulator.reply import Reply, chunk, json_reply
from ops.simulator.summary import lines, tallies

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping

    from ops.simulator.commands import Host
    from ops.simulator.cues import Cue
    from ops.simulator.faults.fault import Step
    from ops.simulator.summary import Tally
    from ops.simulator.wire import Request

_LINES_A_TURN = 500
_SUMS_A_TURN = 20


def answer(host: Host, request: Request) -> Reply | Iterator[Step]:
    """Carry a control request out; a mistake in it is a 400 with `{"error": …}`."""
    path, _, query = request.target.partition("?")
    name = path.removeprefix("/_simulator/").strip("/")
    try:
        if request.method == "GET" and name in _READ:
            return _READ[name](host, _numbers(query))
        if request.method == "POST" and name in COMMANDS:
            return json_reply(200, COMMANDS[name](host, _fields(request.body)))
    except (ValueError, OverflowError) as problem:
        return json_reply(400, {"error": f"{name}: {problem}"})
    known = {"GET": list(_READ), "POST": list(COMMANDS)}
    return json_reply(404, {"error": f"no such control path: {request.method} {path}", **known})


def _fields(body: bytes) -> dict[str, Any]:
    fields = json.loads(body or b"{}")
    if not isinstance(fields, dict):
        raise MistakeError("the body has to be a JSON object")
    return {name: value for name, value in fields.items() if value is not None}


def _numbers(query: str) -> dict[str, float]:
    numbers = {name: float(values[-1]) for name, values in parse_qs(query).items()}
    for name, number in numbers.items():
        if not isfinite(number):
            raise MistakeError(f"{name} is a number, not {number}")
    return numbers


def _status(host: Host, _: Mapping[str, float]) -> Reply:
    provider, now = host.provider, host.now()
    shown = {
        "url": host.url,
        "now": now,
        "accounts": sorted(provider.accounts),
        "settings": str(provider.settings),
        "calls": provider.record.last,
        "cues": [_shown(cue, now) for cue in provider.cues.alive(now)],
    }
    return json_reply(200, shown)


def _shown(cue: Cue, now: float) -> dict[str, Any]:
    return {
        "id": cue.number,
        "selector": str(cue.selector),
        "effect": str(cue.effect),
        "left": cue.left,
        "seconds": None if cue.until is None else cue.until - now,
    }


def _summary(host: Host, span: Mapping[str, float]) -> Iterator[Step]:
    """JSON by account: the running sums, or those of a span; in turns, so that no call is kept."""
    provider = host.provider
    since, until = span.get("since"), span.get("until")
    found = provider.tallies
    if since is not None or until is not None:
        counting = tallies(provider.record, since, until)
        found = yield from _in_turns(counting)
    members: list[str] = []
    for member in lines(found, provider.accounts, since, until):
        members.append(member)
        if len(members) % _SUMS_A_TURN == 0:
            yield Wait(0)
    body = f"{{{', '.join(members)}}}\n".encode()
    yield Send(reply.whole(Reply(200, body), reply.http_date(host.now())))


def _in_turns(
    counting: Generator[None, None, dict[str, Tally]],
) -> Generator[Step, None, dict[str, Tally]]:
    """Let calls have their turn between any two of ours."""
    while True:
        try:
            next(counting)
        except StopIteration as over:
            found: dict[str, Tally] = over.value
            return found
        yield Wait(0)


def _calls(host: Host, span: Mapping[str, float]) -> Iterator[Step]:
    """JSON Lines of the calls numbered above `since`; in turns, so that no call is kept waiting."""
    record = host.provider.record
    seen, last = int(span.get("since", 0)), record.last
    head = Reply(200, b"", (("Content-Type", "application/x-ndjson"),))
    yield Send(reply.head(head, reply.http_date(host.now()), "Transfer-Encoding: chunked"))
    while (row := record.row_after(seen)) < len(record) and seen < last:
        rows = range(row, min(len(record), row + _LINES_A_TURN, row + last - seen))
        yield Send(chunk("".join(f"{record.line(each)}\n" for each in rows).encode()))
        seen = record.number(rows[-1])
        yield Wait(0)
    yield Send(chunk(b""))


_READ: dict[str, Callable[[Host, Mapping[str, float]], Reply | Iterator[Step]]] = {
    "": _status,
    "calls": _calls,
    "summary": _summary,
}
