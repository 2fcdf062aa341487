"""The control paths that change something: JSON fields in, JSON fields out."""

from __future__ import annotations

import base64
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Protocol

from ops.simulator.account import Account, Settings
from ops.simulator.cues import Latency, Selector, Status
from ops.simulator.faults.fault import Fault
from ops.simulator.faults.table import PLAYS
from ops.simulator.units import duration, rate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ops.simulator.cues import Effect
    from ops.simulator.provider import Provider

    Fields = Mapping[str, Any]

STATES: dict[str, Status | Fault] = {
    "balance_gone": Status("-3"),
    "ip_refused": Status("-6"),
    "unverified": Status("-49"),
    "down": Fault("http", code=503),
}
FORMS = ("spring", "json", "html", "empty", "given")


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


@dataclass(frozen=True, slots=True)
class Command:
    """What a control path does, and the fields that it knows (with those it needs first)."""

    act: Callable[[Host, Fields], dict[str, Any]]
    needs: tuple[str, ...] = ()
    knows: tuple[str, ...] = ()

    def __call__(self, host: Host, given: Fields) -> dict[str, Any]:
        """Carry it out; MistakeError for a field that is missing, unknown or unfit."""
        for name in self.needs:
            if name not in given:
                raise MistakeError(f"{name} is missing")
        for name in given:
            if name not in self.needs + self.knows:
                known = ", ".join(self.needs + self.knows)
                raise MistakeError(f"there is no field {name!r}; there are {known}")
        return self.act(host, given)


def _account(host: Host, given: Fields) -> dict[str, Any]:
    window = _list(given, "daily_window") or ["09:00", "20:00"]
    if len(window) != 2:  # noqa: PLR2004 - a pair
        raise MistakeError("daily_window is a pair of HH:MM")
    host.provider.open(
        Account(
            key=_text(given, "key"),
            secret=_text(given, "secret"),
            app_ids=frozenset(_list(given, "app_ids")),
            limits=rate(_text(given, "rate") if "rate" in given else ""),
            retry_after=_text(given, "retry_after") if "retry_after" in given else None,
            max_robots=_count(given, "max_robots"),
            daily_window=(window[0], window[1]),
        )
    )
    return {"accounts": sorted(host.provider.accounts)}


def _settings(host: Host, given: Fields) -> dict[str, Any]:
    durations = {"clock_offset", "timestamp_window"}
    for name, value in given.items():
        if name not in durations and not isinstance(value, bool):
            raise MistakeError(f"{name} is true or false, not {value!r}")
    changes: dict[str, Any] = {
        name: duration(value) if name in durations else value for name, value in given.items()
    }
    host.provider.settings = replace(host.provider.settings, **changes)
    return {"settings": str(host.provider.settings)}


def _latency(host: Host, given: Fields) -> dict[str, Any]:
    shape = given.get("shape", "uniform")
    if shape not in {"uniform", "exponential"}:
        raise MistakeError(f"shape is uniform or exponential, not {shape!r}")
    fixed, jitter = duration(given["latency"]), duration(given.get("jitter", 0))
    return _cue(host, given, Latency(fixed, jitter, exponential=shape == "exponential"))


def _answer(host: Host, given: Fields) -> dict[str, Any]:
    return _cue(host, given, Status(str(given["status"])))


def _fault(host: Host, given: Fields) -> dict[str, Any]:
    if given["kind"] not in PLAYS:
        raise MistakeError(f"no such fault: {given['kind']!r}; there are {', '.join(PLAYS)}")
    if given.get("form", "spring") not in FORMS:
        raise MistakeError(f"form is one of {', '.join(FORMS)}, not {given['form']!r}")
    parts = {name: read(given, name) for name, read in _FAULT_PARTS.items() if name in given}
    if "body64" in parts:
        parts["body"] = parts.pop("body64")
    return _cue(host, given, replace(Fault(given["kind"]), **parts))


def _state(host: Host, given: Fields) -> dict[str, Any]:
    state = given["state"]
    if state == "running":
        return {"dropped": host.provider.cues.drop_states(given.get("account"))}
    if state not in STATES:
        raise MistakeError(f"no such state: {state!r}; there are running, {', '.join(STATES)}")
    return _cue(host, given, STATES[state], state=True)


def _cue(host: Host, given: Fields, effect: Effect, *, state: bool = False) -> dict[str, Any]:
    share = given.get("share", 1.0)
    if not isinstance(share, int | float) or not 0 <= share <= 1:
        raise MistakeError(f"share is a number from 0 to 1, not {share!r}")
    selector = Selector(
        _text(given, "account") if "account" in given else None,
        _count(given, "job"),
        _text(given, "name") if "name" in given else None,
        share,
    )
    until = None
    if "seconds" in given:
        until = host.now() + duration(given["seconds"]).total_seconds()
    times = _count(given, "times")
    return {"id": host.provider.cues.add(selector, effect, times=times, until=until, state=state)}


def _drop(host: Host, given: Fields) -> dict[str, Any]:
    return {"dropped": host.provider.cues.drop(given["id"])}


def _clear(host: Host, given: Fields) -> dict[str, Any]:
    host.provider.cues.clear()
    return {"forgotten": host.provider.forget() if given.get("record") else 0}


def _refuse(host: Host, given: Fields) -> dict[str, Any]:
    seconds = duration(given["seconds"]).total_seconds()
    host.refuse(seconds)
    return {"seconds": seconds}


def _text(given: Fields, name: str) -> str:
    value = given[name]
    if not isinstance(value, str):
        raise MistakeError(f"{name} is a text, not {value!r}")
    return value


def _count(given: Fields, name: str) -> int | None:
    value = given.get(name)
    if value is not None and (type(value) is not int or value < 1):
        raise MistakeError(f"{name} is a whole number from 1, not {value!r}")
    return value


def _list(given: Fields, name: str) -> list[str]:
    value = given.get(name, [])
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise MistakeError(f"{name} is a list of texts, not {value!r}")
    return value


def _pairs(given: Fields, name: str) -> tuple[tuple[str, str], ...]:
    value = given[name]
    if not isinstance(value, dict):
        raise MistakeError(f"{name} is an object of names and values, not {value!r}")
    return tuple((str(each), str(text)) for each, text in value.items())


_FAULT_PARTS: dict[str, Callable[[Fields, str], Any]] = {
    "code": _count,
    "form": _text,
    "retry_after": _text,
    "headers": _pairs,
    "body": lambda given, name: _text(given, name).encode(),
    "body64": lambda given, name: base64.b64decode(_text(given, name), validate=True),
    "every": lambda given, name: duration(given[name]),
    "size": _count,
    "reset": lambda given, name: bool(given[name]),
}
_WHICH = ("account", "job", "name", "share", "times", "seconds")
_ACCOUNT = ("app_ids", "rate", "retry_after", "max_robots", "daily_window")
COMMANDS: dict[str, Command] = {
    "account": Command(_account, ("key", "secret"), _ACCOUNT),
    "settings": Command(_settings, (), tuple(each.name for each in fields(Settings))),
    "latency": Command(_latency, ("latency",), ("jitter", "shape", *_WHICH)),
    "answer": Command(_answer, ("status",), _WHICH),
    "fault": Command(_fault, ("kind",), (*_FAULT_PARTS, *_WHICH)),
    "state": Command(_state, ("state",), ("account", "seconds")),
    "drop": Command(_drop, ("id",)),
    "clear": Command(_clear, (), ("record",)),
    "refuse": Command(_refuse, ("seconds",)),
}
