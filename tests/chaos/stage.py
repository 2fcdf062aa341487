"""Everything a run acts on: broker, API, replicas behind proxies of their own, ledger, witness."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

from ops.simulator.control import Simulator
from tests.acceptance.kit import KEY, SECRET, WorkerProcess, until
from tests.chaos import draft
from tests.chaos.accounts import OTHER_RATES, Accounts, limits
from tests.chaos.broker import TROUBLE, connection
from tests.chaos.evidence import Owner, Term
from tests.chaos.greeting import greeting
from tests.chaos.ledger import Ledger
from tests.chaos.names import (
    DEAD,
    LANE,
    NAMESPACE,
    RENAMED_KEY,
    ROAMING,
    SIDE_KEY,
    STRAYS,
)
from tests.chaos.proxy import Network
from tests.chaos.witness import Witness

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence
    from pathlib import Path

    from tests.chaos.broker import Broker
    from tests.chaos.evidence import Entry, Pause, Return
    from tests.chaos.proxy import Proxy

_WRITTEN_DOWN = 15.0
_BACKLOG_AT_MOST = 2000
_ADOPTED_WITHIN = 120.0
_ASKED_EVERY = 5.0
"""Seconds after which SIGHUP is sent again: a full disk may have swallowed what was said of it."""
_LOOK = 0.1


@dataclass(frozen=True, slots=True)
class Scene:
    """How big a run is; rates in calls and messages a second."""

    replicas: int = 3
    load: float = 50.0
    rate: int = 150
    """Of the main account; while a run lasts, no limit of it is ever wider than these."""
    minute: int | None = None
    """Calls a minute, if they are limited too."""
    concurrency: int = 16
    jobs: int = 40
    latency: float = 0.04
    """Seconds that the API takes, on the average."""
    beat: float = 2.0
    """The heartbeat, in seconds."""
    command: Sequence[str] = ("-m", "worker", "run")
    """What Python runs as the worker."""
    sleeper: Sequence[str] = ()
    """The clocks of the first replica that stand still while it is stopped: its machine sleeps."""
    ahead: Sequence[float] = ()
    """Seconds by which the clocks of the first replicas are fast; of others they are right."""

    @property
    def rates(self) -> str:
        """What the main account allows, as worker and simulator read it."""
        return f"{self.rate}/s" + (f",{self.minute}/m" if self.minute is not None else "")


@dataclass(slots=True)
class Replica:
    """A worker process, and its own ways to the broker and to the API."""

    name: str
    worker: WorkerProcess
    accounts_file: Path
    broker: list[Proxy]
    """One to each node."""
    api: list[Proxy]


class _Mark:
    """A moment in a replica's life."""

    def __init__(self, process: subprocess.Popen[bytes] | None, log: Path) -> None:
        self._process = process
        self._log = log
        self._read = log.stat().st_size
        self._heard: set[str] = set()

    def passed(self, replica: Replica, event: str) -> bool:
        """Whether it has logged that event since, or is another process by now."""
        with self._log.open("rb") as log:
            log.seek(self._read)
            *lines, rest = log.read().split(b"\n")
            self._read = log.tell() - len(rest)
        self._heard |= {str(json.loads(line)["event"]) for line in lines if line[:1] == b"{"}
        return event in self._heard or replica.worker.process is not self._process


def _serves(replica: Replica, account: str) -> bool:
    """Whether it says that it serves the account's lane."""
    status, text = replica.worker.asked("/lanes")
    return status == 200 and bool(json.loads(text).get(account, {}).get("open"))


@dataclass(slots=True)
class Stage:
    """A running system under test, as a context manager."""

    broker: Broker
    folder: Path
    scene: Scene
    seed: int
    replicas: list[Replica] = field(default_factory=list)
    simulator: Simulator = field(init=False)
    network: Network = field(init=False)
    ledger: Ledger = field(init=False)
    witness: Witness = field(init=False)
    paused: bool = False
    """Whether the ledger is to publish nothing for the moment."""
    down: set[str] = field(default_factory=set)
    """Replicas that a fault keeps from running."""
    ended: list[str] = field(default_factory=list)
    """Replicas that ended by themselves, once for each time."""
    extra: list[Entry] = field(default_factory=list)
    """What faults have published; each has a job of its own."""
    returns: list[Return] = field(default_factory=list)
    pauses: list[Pause] = field(default_factory=list)
    accounts: Accounts = field(init=False)
    """What every replica has adopted, or is about to."""
    terms: list[Term] = field(default_factory=list)
    owners: list[Owner] = field(default_factory=list)
    forgotten: list[float] = field(default_factory=list)
    _marks: dict[str, _Mark] = field(default_factory=dict)
    cue: int = 0
    """The simulator's number of the fault in force."""
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        try:
            self._build()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _build(self) -> None:
        enter, scene = self._stack.enter_context, self.scene
        self.simulator = enter(Simulator("--account", f"{KEY}:{SECRET}"))
        self.accounts = Accounts(scene.rates)
        self.allow(scene.rates, since=0.0)
        self.terms += [Term(key, limits(OTHER_RATES)) for key in (SIDE_KEY, RENAMED_KEY)]
        self.own(ROAMING, KEY, since=0.0)
        self.usual_api()
        self.network = enter(Network())
        for number in range(scene.replicas):
            self.replicas.append(self._replica(number))
        for replica in self.replicas:
            enter(replica.worker)
        for replica in self.replicas:
            replica.worker.ready(60)
        self._await_durability()
        self.witness = Witness(self.broker)
        self.witness.start()
        self._stack.callback(self.witness.stop)
        self.ledger = Ledger(
            self.broker,
            seed=self.seed,
            rate=scene.load,
            jobs=scene.jobs,
            room=self.has_room,
        )
        self._stack.callback(self.ledger.stop)

    def _replica(self, number: int) -> Replica:
        name = f"replica-{number + 1}"
        api_port = int(self.simulator.url.rsplit(":", 1)[1].partition("/")[0])
        brokers = [self.network.proxy(node.port) for node in self.broker.nodes]
        urls = [f"amqp://guest:guest@127.0.0.1:{proxy.port}/%2F" for proxy in brokers]
        api = self.network.proxy(api_port, greeting=greeting(name))
        folder = self.folder / name
        folder.mkdir()
        accounts_file = folder / "accounts.toml"
        accounts_file.write_text(self.accounts.toml())
        settings = {
            "AMQP_URL": ",".join(urls),
            "NAMESPACE": NAMESPACE,
            "HEARTBEAT": f"{self.scene.beat}s",
            "API_URL": f"http://127.0.0.1:{api.port}/aivoice",
            "ACCOUNTS_FILE": str(accounts_file),
            "CONCURRENCY": str(self.scene.concurrency),
            "CONNECT_TIMEOUT": "2s",
            "CALL_TIMEOUT": "4s",
            "HOLD": "20s",
            "LOG_FORMAT": "json",
        }
        environment = {f"TASKEDIT_{key}": value for key, value in settings.items()}
        command, ahead = self.scene.command, dict(enumerate(self.scene.ahead)).get(number)
        if ahead:
            environment["SKEW"] = str(ahead)
            command = ("-m", "tests.acceptance.skewed", "run")
        elif self.scene.sleeper and number == 0:
            command = ("-m", "tests.acceptance.asleep", *self.scene.sleeper)
        worker = WorkerProcess(folder, environment, arguments=command)
        return Replica(name, worker, accounts_file, brokers, [api])

    def usual_api(self) -> None:
        """Have the API do nothing but what it always does in a run."""
        self.simulator.clear()
        self.simulator.account(KEY, SECRET, rate=self.scene.rates, retry_after="1")
        for key in (SIDE_KEY, RENAMED_KEY):
            self.simulator.account(key, SECRET, rate=OTHER_RATES, retry_after="1")
        for key in (KEY, SIDE_KEY, RENAMED_KEY):
            self.simulator.latency("5ms", self.scene.latency, shape="exponential", account=key)
            self.simulator.answer("-33", name=f"{draft.REFUSED}*", account=key)
            self.simulator.answer("-5", name=f"{draft.FLAKY}*", account=key, share=0.5)

    def _await_durability(self) -> None:
        """RabbitMQ writes new queues down a little late; killed before, it forgets them."""
        until(
            lambda: all(
                node.remembers(queue)
                for node in self.broker.nodes
                for queue in (LANE, STRAYS, DEAD)
            ),
            _WRITTEN_DOWN,
            "RabbitMQ has not written its queues down",
        )

    def tend(self) -> None:
        """Start replicas again that have ended by themselves, as a supervisor does."""
        for replica in self.replicas:
            process = replica.worker.process
            if replica.name not in self.down and process is not None and process.poll() is not None:
                self.ended.append(f"{replica.name} ended by itself with {process.returncode}")
                replica.worker.start()

    def has_room(self) -> bool:
        """Whether the ledger may publish: not while paused or too far ahead."""
        sent = len(self.ledger.entries) + len(self.extra)
        waiting = sent - len(self.witness.outcomes)
        return not self.paused and waiting < _BACKLOG_AT_MOST

    # Accounts change

    def allow(self, rates: str, since: float | None = None) -> None:
        """From now on the main account may have these limits."""
        self.terms.append(Term(KEY, limits(rates), time.time() if since is None else since))

    def allow_only(self) -> None:
        """From now on it has the newest ones alone."""
        *former, newest = [term for term in self.terms if term.account == KEY]
        ended = [replace(term, until=min(term.until, time.time())) for term in former]
        others = [term for term in self.terms if term.account != KEY]
        self.terms = [*others, *ended, newest]

    def own(self, app: str, account: str, since: float | None = None) -> None:
        """From now on an app may be this account's (by its key)."""
        self.owners.append(Owner(app, account, time.time() if since is None else since))

    def own_only(self, app: str) -> None:
        """From now on it is the newest owner's alone."""
        *former, newest = [owner for owner in self.owners if owner.app == app]
        ended = [replace(owner, until=min(owner.until, time.time())) for owner in former]
        self.owners = [*(o for o in self.owners if o.app != app), *ended, newest]

    def change(self, accounts: Accounts, first: str = "") -> None:
        """Have each replica adopt these accounts in turn, whoever serves `first` before others."""
        self.accounts = accounts
        self._marks = {}
        for replica in sorted(self.replicas, key=lambda one: not (first and _serves(one, first))):
            fresh = replica.accounts_file.with_suffix(".new")
            fresh.write_text(accounts.toml())
            fresh.rename(replica.accounts_file)
            self._marks[replica.name] = _Mark(replica.worker.process, replica.worker.log)
            self._adopted(replica)

    def _adopted(self, replica: Replica) -> None:
        """Send SIGHUP until the replica has said that it has adopted its file."""
        deadline, due = time.monotonic() + _ADOPTED_WITHIN, 0.0
        while not self._marks[replica.name].passed(replica, "settings_adopted"):
            now = time.monotonic()
            if now > deadline:
                raise AssertionError(f"{replica.name} does not adopt its accounts")
            if now >= due:
                due = now + _ASKED_EVERY
                replica.worker.signal(signal.SIGHUP)
            time.sleep(_LOOK)

    def await_all(self, event: str, within: float) -> None:
        """Wait until each replica has logged it since the last change, or was begun since."""
        deadline = time.monotonic() + within
        left = list(self.replicas)
        while left and time.monotonic() < deadline:
            left = [one for one in left if not self._marks[one.name].passed(one, event)]
            time.sleep(_LOOK)

    def unsettled(self, app: str = "") -> set[str]:
        """The confirmed messages that have no outcome yet: all, or an app's."""
        entries = (*self.ledger.entries, *self.extra)
        if app:
            entries = tuple(entry for entry in entries if entry.app == app)
            mine = {entry.message_id for entry in entries}
            return self.unsettled() & mine
        owed = Counter({one.message_id: 1 for one in entries if one.confirmed is not None})
        owed.update(once for once, _ in {(r.message_id, r.redrives) for r in self.returns})
        return {
            one for one, count in owed.items() if len(self.witness.outcomes.get(one, ())) < count
        }

    def is_idle(self) -> bool:
        """Nothing is unsettled, and RabbitMQ holds nothing for the workers."""
        if self.unsettled():
            return False
        try:
            with connection(self.broker) as joined:
                channel = joined.channel()
                for queue in (LANE, STRAYS):
                    found = channel.queue_declare(queue, passive=True)
                    if found.method.message_count:
                        return False
        except TROUBLE:
            return False
        return True
