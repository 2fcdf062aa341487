"""A simulator that runs somewhere, from Python: what to do, and what it saw."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypedDict, Unpack
from urllib.parse import urlencode, urlsplit

from ops.simulator.seen import Call, Summary

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ops.simulator.faults.fault import Form, Kind

    Duration = str | float | timedelta

PATIENCE = 20.0


class Which(TypedDict, total=False):
    """To which calls (all parts have to fit, `name` as a glob), how often and how long."""

    account: str
    job: int
    name: str
    share: float
    times: int
    seconds: Duration


class How(Which, total=False):
    """The parts of a fault; which kind reads which is in README.md."""

    code: int
    form: Form
    retry_after: str
    headers: Mapping[str, str]
    body: str | bytes
    every: Duration
    size: int
    reset: bool


class More(TypedDict, total=False):
    """What an account may have besides."""

    retry_after: str
    max_robots: int
    daily_window: tuple[str, str]


class Settings(TypedDict, total=False):
    """What holds for every account."""

    timestamp_window: Duration
    clock_offset: Duration
    numeric_status: bool
    unique_names: bool
    demand_redial: bool


class RefusedError(RuntimeError):
    """The simulator could not carry a control request out; its own words."""


class Remote:
    """`url` ends in /aivoice. For one thread; a TLS certificate is not verified."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._connection: http.client.HTTPConnection | None = None

    def account(
        self,
        key: str,
        secret: str,
        app_ids: Iterable[str] = (),
        rate: str = "",
        **more: Unpack[More],
    ) -> None:
        """Open an account or replace it; `rate` like `20/s,600/m`, empty for no limit."""
        fields = {"key": key, "secret": secret, "app_ids": list(app_ids), "rate": rate}
        self.post("account", {**fields, **more})

    def settings(self, **settings: Unpack[Settings]) -> None:
        """Change those that are given."""
        self.post("settings", settings)

    def latency(
        self,
        latency: Duration,
        jitter: Duration = 0,
        shape: str = "uniform",
        **which: Unpack[Which],
    ) -> int:
        """Answer after `latency` and a jitter: uniform from 0, or exponential with that mean."""
        fields = {"latency": latency, "jitter": jitter, "shape": shape}
        return self._cue("latency", {**fields, **which})

    def answer(self, status: str, **which: Unpack[Which]) -> int:
        """Answer with this API status."""
        return self._cue("answer", {"status": status, **which})

    def fault(self, kind: Kind, **how: Unpack[How]) -> int:
        """Go wrong in this way."""
        fields: dict[str, Any] = {"kind": kind, **how}
        if isinstance(fields.get("body"), bytes):
            fields["body64"] = base64.b64encode(fields.pop("body")).decode()
        return self._cue("fault", fields)

    def state(self, state: str, account: str | None = None, seconds: float | None = None) -> None:
        """balance_gone, ip_refused, unverified, down, or running again."""
        self.post("state", {"state": state, "account": account, "seconds": seconds})

    def drop(self, cue: int) -> None:
        """Take back one latency, answer or fault by its number."""
        self.post("drop", {"id": cue})

    def clear(self, *, record: bool = False) -> None:
        """Take back every latency, answer, fault and state; with `record`, forget the calls too."""
        self.post("clear", {"record": record})

    def refuse(self, seconds: Duration) -> None:
        """Refuse connections for this long (0: no more); those open are cut, but not ours."""
        self.post("refuse", {"seconds": seconds})

    def calls(self, since: int = 0) -> list[Call]:
        """The calls numbered above `since`, in the order of their arrival."""
        return list(self.calls_in_turn(since))

    def calls_in_turn(self, since: int = 0) -> Iterator[Call]:
        """The same one by one, for a million of them."""
        response = self._sent("GET", f"calls?since={since}")
        try:
            for line in response:
                yield Call(**json.loads(line))
        finally:
            if not response.isclosed():  # left early: the rest would be in the next one's way
                self.close()

    def summary(self, since: float | None = None, until: float | None = None) -> dict[str, Summary]:
        """Sums by account (api key); with a span, of the calls that arrived in it (epoch)."""
        span = {"since": since, "until": until}
        query = urlencode({name: value for name, value in span.items() if value is not None})
        found = json.loads(self._sent("GET", f"summary?{query}").read())
        return {account: Summary(**sums) for account, sums in found.items()}

    def status(self) -> dict[str, Any]:
        """Address, clock, accounts, settings, number of calls, cues in force."""
        status: dict[str, Any] = json.loads(self._sent("GET", "").read())
        return status

    def post(self, path: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Any control request; RefusedError when the simulator says so."""
        body = json.dumps(fields, default=_plain)
        found: dict[str, Any] = json.loads(self._sent("POST", path, body).read())
        return found

    def close(self) -> None:
        """End the control connection; the next request opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _cue(self, path: str, fields: Mapping[str, Any]) -> int:
        return int(self.post(path, fields)["id"])

    def _sent(self, method: str, path: str, body: str | None = None) -> http.client.HTTPResponse:
        """The reply to a control request, on the one connection that is kept."""
        was_kept = self._connection is not None
        if self._connection is None:
            self._connection = self._connected()
        try:
            self._connection.request(method, f"/_simulator/{path}", body)
            response = self._connection.getresponse()
        except BaseException as problem:
            self.close()
            if was_kept and isinstance(problem, ConnectionError):
                return self._sent(method, path, body)
            raise
        if response.status != http.HTTPStatus.OK:
            raise RefusedError(response.read().decode())
        return response

    def _connected(self) -> http.client.HTTPConnection:
        address = urlsplit(self.url)
        host, port = address.hostname or "", address.port
        if address.scheme == "https":
            context = ssl._create_unverified_context()  # noqa: S323, SLF001 - a stand-in's own
            return http.client.HTTPSConnection(host, port, timeout=PATIENCE, context=context)
        return http.client.HTTPConnection(host, port, timeout=PATIENCE)


def _plain(value: object) -> float:
    if isinstance(value, timedelta):
        return value.total_seconds()
    raise TypeError(f"{value!r} has no form in JSON")
