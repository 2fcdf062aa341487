"""The simulator from Python: start it, tell it what to do, ask what it saw.

with Simulator() as simulator:
    simulator.account("key", "secret", rate="20/s")
    simulator.answer("-3", account="key", seconds=20)
    ...
    assert simulator.summary()["key"].overlaps == 0
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import timedelta

_ROOT = Path(__file__).resolve().parents[2]
_PATIENCE = 20.0


@dataclass(frozen=True, slots=True)
class Call:
    """One call as the simulator recorded it; moments are epoch seconds of one clock.

    `arrived`: last byte of the request; `ended`: last byte of the answer, or the
    moment it was given up; None while under way. `http` 0 and `status` None: none
    was sent. `throttled`: refused by the rate limit. `overlap`: at its arrival
    another call of the job was under way and its caller there; `trailing`: one was
    under way whose caller had left. `abandoned`: its own caller left before the end.
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
    the limit refused. `used`: share of the tightest limit. `statuses`: answers by
    API status, `http:503` or `none`.
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


class RefusedError(RuntimeError):
    """The simulator did not understand; its own words."""


class Remote:
    """A simulator that runs somewhere: `url` ends in /aivoice."""

    def __init__(self, url: str) -> None:
        """Nothing is sent yet. Certificates are not verified: it is a stand-in."""
        self.url = url
        self._address = urlsplit(url)
        self._connection: http.client.HTTPConnection | None = None

    def account(
        self,
        key: str,
        secret: str,
        app_ids: Iterable[str] = (),
        rate: str = "",
        **more: Any,  # noqa: ANN401 - as README.md lists them
    ) -> None:
        """Open or replace an account. More: retry_after, max_robots, daily_window."""
        fields = {"key": key, "secret": secret, "app_ids": list(app_ids), "rate": rate, **more}
        self.post("account", fields)

    def settings(self, **settings: Any) -> None:  # noqa: ANN401 - as README.md lists them
        """timestamp_window, clock_offset, numeric_status, unique_names, demand_redial."""
        self.post("settings", settings)

    def latency(
        self,
        latency: str | float | timedelta,
        jitter: str | float | timedelta = 0,
        shape: str = "uniform",
        **which: Any,  # noqa: ANN401 - a selector, times, seconds
    ) -> int:
        """Answer after `latency` and a jitter: uniform from 0, or exponential with that mean."""
        fields = {"latency": _plain(latency), "jitter": _plain(jitter), "shape": shape}
        return self._cue("latency", {**fields, **which})

    def answer(self, status: str, **which: Any) -> int:  # noqa: ANN401 - a selector, times, seconds
        """Answer with this API status."""
        return self._cue("answer", {"status": status, **which})

    def fault(self, kind: str, **how: Any) -> int:  # noqa: ANN401 - its parts, a selector …
        """Go wrong in this way; kinds and their parts are in README.md."""
        if "every" in how:
            how["every"] = _plain(how["every"])
        if isinstance(how.get("body"), bytes):
            how["body"] = how["body"].decode("latin-1")
        if "headers" in how:
            how["headers"] = list(dict(how["headers"]).items())
        return self._cue("fault", {"kind": kind, **how})

    def state(self, state: str, account: str | None = None, seconds: float | None = None) -> None:
        """balance_gone, ip_refused, unverified, down, or running again."""
        self.post("state", {"state": state, "account": account, "seconds": seconds})

    def drop(self, cue: int) -> None:
        """Take back one latency, answer or fault by its number."""
        self.post("drop", {"id": cue})

    def clear(self, *, record: bool = False) -> None:
        """Take back every latency, answer, fault and state; with `record`, forget the calls too."""
        self.post("clear", {"record": record})

    def refuse(self, seconds: float) -> None:
        """Refuse connections for this long; the open ones are cut."""
        self.post("refuse", {"seconds": seconds})

    def calls(self, since: int = 0) -> list[Call]:
        """The calls numbered above `since`, in the order of their arrival."""
        return list(self.calls_by_one(since))

    def calls_by_one(self, since: int = 0) -> Iterator[Call]:
        """The same one by one, for a million of them."""
        response = self._sent("GET", f"calls?since={since}")
        for line in response:
            yield Call(**json.loads(line))

    def summary(self, since: float | None = None, until: float | None = None) -> dict[str, Summary]:
        """Sums by account; with a span, of the calls that arrived in it (epoch seconds)."""
        span = {"since": since, "until": until}
        query = "&".join(f"{name}={value}" for name, value in span.items() if value is not None)
        found = json.loads(self._sent("GET", f"summary?{query}").read())
        return {account: Summary(**sums) for account, sums in found.items()}

    def status(self) -> dict[str, Any]:
        """Address, clock, accounts, number of calls, cues in force."""
        status: dict[str, Any] = json.loads(self._sent("GET", "").read())
        return status

    def post(self, path: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Any control request; RefusedError when the simulator says so."""
        found: dict[str, Any] = json.loads(self._sent("POST", path, json.dumps(fields)).read())
        return found

    def close(self) -> None:
        """End the control connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _cue(self, path: str, fields: Mapping[str, Any]) -> int:
        return int(self.post(path, fields)["id"])

    def _sent(self, method: str, path: str, body: str | None = None) -> http.client.HTTPResponse:
        self._connection = self._connection or self._connected()
        try:
            self._connection.request(method, f"/_simulator/{path}", body)
            response = self._connection.getresponse()
        except (http.client.HTTPException, OSError):
            self.close()  # a kept connection may have died with the process behind it
            raise
        if response.status != 200:  # noqa: PLR2004 - HTTP's own number
            raise RefusedError(response.read().decode())
        return response

    def _connected(self) -> http.client.HTTPConnection:
        host, port = self._address.hostname or "", self._address.port
        if self._address.scheme == "https":
            context = ssl._create_unverified_context()  # noqa: S323, SLF001 - see __init__
            return http.client.HTTPSConnection(host, port, timeout=_PATIENCE, context=context)
        return http.client.HTTPConnection(host, port, timeout=_PATIENCE)


class Simulator(Remote):
    """A simulator in a child process of ours, on a free port of this machine.

    `options` are those of the command line (`"--rate", "20/s"`). The child ends with
    the block, and by itself when we die. Its record and cues die with it; `restart`
    gives a new one on the same port, with the accounts opened here.
    """

    def __init__(self, *options: str, port: int = 0) -> None:
        """Not started yet."""
        super().__init__("")
        self._options = options
        self._port = port
        self._accounts: dict[str, Mapping[str, Any]] = {}
        self._child: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The child's process id; RuntimeError when there is none."""
        if self._child is None:
            raise RuntimeError("the simulator is not running")
        return self._child.pid

    def start(self) -> None:
        """Start the child and wait for the line that says it listens."""
        command = [sys.executable, "-m", "ops.simulator", "--port", str(self._port)]
        self._child = subprocess.Popen(
            [*command, "--until-stdin-closes", *self._options],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._child.stdout is not None  # noqa: S101 - given above
        line = self._child.stdout.readline()
        if not line:
            raise RuntimeError(f"the simulator ended at its start with {self._child.wait()}")
        self.url = json.loads(line)["url"]
        self._address = urlsplit(self.url)
        self._port = self._address.port or 0
        for fields in self._accounts.values():
            super().post("account", fields)

    def post(self, path: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """As of Remote; accounts are kept for a restart."""
        found = super().post(path, fields)
        if path == "account":
            self._accounts[fields["key"]] = fields
        return found

    def stop(self) -> int:
        """End the child by SIGTERM and wait; its exit code."""
        return self._ended(signal.SIGTERM)

    def kill(self) -> int:
        """End the child by SIGKILL."""
        return self._ended(signal.SIGKILL)

    def restart(self) -> None:
        """End it, if need be, and start another on the same port."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """SIGSTOP: connections stay, nothing answers; not even the control paths."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def _ended(self, how: signal.Signals) -> int:
        self.close()
        child, self._child = self._child, None
        if child is None:
            return 0
        with suppress(ProcessLookupError):
            child.send_signal(how)
            child.send_signal(signal.SIGCONT)  # a frozen one would never take it
        with child:
            return child.wait(_PATIENCE)


def _plain(value: str | float | timedelta) -> str | float:
    return value if isinstance(value, str | int | float) else value.total_seconds()
