"""The control paths, `/_simulator/…`: JSON in, JSON out; README.md lists them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qs

from ops.simulator import faults, reply
from ops.simulator.account import Account
from ops.simulator.cues import Latency, Selector, Status
from ops.simulator.faults import Fault, Send, Step, Wait
from ops.simulator.reply import Reply, json_reply
from ops.simulator.summary import summary
from ops.simulator.units import duration, rate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ops.simulator.provider import Provider
    from ops.simulator.wire import Request

STATES: dict[str, Status | Fault] = {
    "balance_gone": Status("-3"),
    "ip_refused": Status("-6"),
    "unverified": Status("-49"),
    "down": Fault("http", code=503),
}
_LINES_A_TURN = 500


class Host(Protocol):
    """What the control paths need of the server."""

    provider: Provider

    @property
    def url(self) -> str:
        """The base address of the API."""

    def now(self) -> float:
        """Epoch seconds."""

    def refuse(self, seconds: float) -> None:
        """Refuse connections for this long."""


class MistakeError(ValueError):
    """A control request that cannot be carried out; its text is for whoever sent it."""


def answer(host: Host, request: Request) -> Reply | Iterator[Step]:
    """Carry a control request out; a mistake in it is a 400 with `{"error": …}`."""
    path, _, query = request.target.partition("?")
    name = path.removeprefix("/_simulator/").strip("/")
    try:
        if request.method == "GET" and name == "calls":
            return _calls(host, _numbers(query))
        if request.method == "GET" and name in _READ:
            return json_reply(200, _READ[name](host, _numbers(query)))
        if request.method == "POST" and name in _ACT:
            return json_reply(200, _ACT[name](host, _fields(request.body)))
    except (ValueError, TypeError, KeyError, OverflowError) as problem:
        return json_reply(400, {"error": f"{name}: {problem}"})
    known = {"GET": ["calls", *_READ], "POST": list(_ACT)}
    return json_reply(404, {"error": f"no such control path: {request.method} {path}", **known})


def _fields(body: bytes) -> dict[str, Any]:
    fields = json.loads(body or b"{}")
    if not isinstance(fields, dict):
        raise MistakeError("the body has to be a JSON object")
    return {name: value for name, value in fields.items() if value is not None}


def _numbers(query: str) -> dict[str, float]:
    return {name: float(values[-1]) for name, values in parse_qs(query).items()}


# -- reading


def _status(host: Host, _: Mapping[str, float]) -> dict[str, Any]:
    provider, now = host.provider, host.now()
    return {
        "url": host.url,
        "now": now,
        "accounts": sorted(provider.accounts),
        "calls": provider.record.last,
        "cues": [
            {
                "id": cue.number,
                "selector": {part: getattr(cue.selector, part) for part in _SELECTOR},
                "effect": str(cue.effect),
                "left": cue.left,
                "seconds": None if cue.until is None else cue.until - now,
            }
            for cue in provider.cues.alive(now)
        ],
    }


def _summary(host: Host, span: Mapping[str, float]) -> dict[str, Any]:
    provider = host.provider
    since, until = span.get("since"), span.get("until")
    return summary(provider.tallies, provider.record, provider.accounts, since, until)


def _calls(host: Host, span: Mapping[str, float]) -> Iterator[Step]:
    """JSON Lines of the calls numbered above `since`; in turns, so that no call is kept waiting."""
    record = host.provider.record
    row, last = record.row_after(int(span.get("since", 0))), len(record)
    if "limit" in span:
        last = min(last, row + int(span["limit"]))
    head = Reply(200, b"", (("Content-Type", "application/x-ndjson"),))
    yield Send(reply.head(head, reply.http_date(host.now()), "Transfer-Encoding: chunked"))
    while row < min(last, len(record)):
        turn = range(row, min(last, len(record), row + _LINES_A_TURN))
        lines = "".join(record.line(each) + "\n" for each in turn).encode()
        yield Send(b"%x\r\n%b\r\n" % (len(lines), lines))
        yield Wait(0)
        row = turn.stop
    yield Send(b"0\r\n\r\n")


# -- acting


def _account(host: Host, fields: dict[str, Any]) -> dict[str, Any]:
    earliest, latest = fields.get("daily_window", ("09:00", "20:00"))
    host.provider.open(
        Account(
            key=_text(fields["key"]),
            secret=_text(fields["secret"]),
            app_ids=frozenset(map(_text, fields.get("app_ids", ()))),
            limits=rate(fields.get("rate", "")),
            retry_after=fields.get("retry_after"),
            max_robots=fields.get("max_robots"),
            daily_window=(_text(earliest), _text(latest)),
        )
    )
    return {"accounts": sorted(host.provider.accounts)}


def _settings(host: Host, fields: dict[str, Any]) -> dict[str, Any]:
    changes: dict[str, Any] = {
        name: _offset(value) if name in {"clock_offset", "timestamp_window"} else bool(value)
        for name, value in fields.items()
    }
    host.provider.settings = replace(host.provider.settings, **changes)
    return {"settings": str(host.provider.settings)}


def _offset(value: Any) -> Any:  # noqa: ANN401 - a duration as JSON has it
    return -duration(value[1:]) if str(value).startswith("-") else duration(value)


def _latency(host: Host, fields: dict[str, Any]) -> dict[str, Any]:
    shape = fields.get("shape", "uniform")
    if shape not in {"uniform", "exponential"}:
        raise MistakeError(f"shape is uniform or exponential, not {shape!r}")
    fixed, jitter = duration(fields["latency"]), duration(fields.get("jitter", 0))
    return _cue(host, fields, Latency(fixed, jitter, exponential=shape == "exponential"))


def _answer(host: Host, fields: dict[str, Any]) -> dict[str, Any]:
    return _cue(host, fields, Status(str(fields["status"])))


def _fault(host: Host, fields: dict[str, Any]) -> dict[str, Any]:
    kind = fields["kind"]
    if kind not in faults.PLAYS:
        raise MistakeError(f"no such fault: {kind!r}; there are {', '.join(faults.PLAYS)}")
    parts: dict[str, Any] = {
        part: fields[part]
        for part in ("code", "form", "retry_after", "size", "reset")
        if part in fields
    }
    if "every" in fields:
        parts["every"] = duration(fields["every"])
    if "headers" in fields:
        parts["headers"] = tuple((str(name), str(value)) for name, value in fields["headers"])
    if "body" in fields:
        parts["body"] = _text(fields["body"]).encode("latin-1")
    return _cue(host, fields, Fault(kind, **parts))


def _state(host: Host, fields: dict[str, Any]) -> dict[str, Any]:
    state = fields["state"]
    if state == "running":
        return {"dropped": host.provider.cues.drop_states(fields.get("account"))}
    if state not in STATES:
        raise MistakeError(f"no such state: {state!r}; there are running, {', '.join(STATES)}")
    return _cue(host, fields, STATES[state], state=True)


def _cue(
    host: Host, fields: Mapping[str, Any], effect: Status | Fault | Latency, *, state: bool = False
) -> dict[str, Any]:
    selector = Selector(**{part: fields[part] for part in _SELECTOR if part in fields})
    times, seconds = fields.get("times"), fields.get("seconds")
    until = None if seconds is None else host.now() + duration(seconds).total_seconds()
    return {"id": host.provider.cues.add(selector, effect, times=times, until=until, state=state)}


def _drop(host: Host, fields: dict[str, Any]) -> dict[str, Any]:
    return {"dropped": host.provider.cues.drop(int(fields["id"]))}


def _clear(host: Host, fields: dict[str, Any]) -> dict[str, Any]:
    host.provider.cues.clear()
    return {"forgotten": host.provider.forget() if fields.get("record") else 0}


def _refuse(host: Host, fields: dict[str, Any]) -> dict[str, Any]:
    seconds = duration(fields["seconds"]).total_seconds()
    host.refuse(seconds)
    return {"seconds": seconds}


def _text(value: Any) -> str:  # noqa: ANN401 - a value of a control request
    if not isinstance(value, str):
        raise MistakeError(f"a text is needed, not {value!r}")
    return value


_SELECTOR = ("account", "job", "name", "share")
_READ: dict[str, Callable[[Host, Mapping[str, float]], dict[str, Any]]] = {
    "": _status,
    "summary": _summary,
}
_ACT: dict[str, Callable[[Host, dict[str, Any]], dict[str, Any]]] = {
    "account": _account,
    "settings": _settings,
    "latency": _latency,
    "answer": _answer,
    "fault": _fault,
    "state": _state,
    "drop": _drop,
    "clear": _clear,
    "refuse": _refuse,
}
