"""The process: its threads, its signals, and how it ends."""

from __future__ import annotations

import gc
import signal
from errno import EMFILE, ENFILE, ENOBUFS, ENOMEM
from importlib.metadata import version
from threading import Thread
from typing import TYPE_CHECKING

import structlog

from schemas.names import Names
from worker.amqp.connection import shown
from worker.api.client import Client
from worker.app import Worker
from worker.observability import status
from worker.observability.http import serve
from worker.observability.log import set_level
from worker.observability.metrics import Metrics
from worker.observability.status import Probes
from worker.observability.systemd import SystemdNotifier
from worker.settings import Settings, environment, load

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from worker.account import Account
    from worker.core.tracing import Tracing
    from worker.observability.tracing import Spans
    from worker.pipeline.callers import Caller

log = structlog.get_logger()

DISTRIBUTION = "task-edit-worker"
DONE, FAILED, BAD_SETTINGS = 0, 1, 78
SCARCE = (EMFILE, ENFILE, ENOBUFS, ENOMEM)
"""What the machine lacks is no bad setting, after which no supervisor would start the worker."""
LOOK_EVERY = 0.5
COLLECT_AT = (10_000, 20, 20)
"""Objects made and not freed, and collections of each younger generation: see `gc`."""


def client_of(account: Account) -> Caller:
    """The API client of an account."""
    return Client(account.endpoint, account.api_key, account.api_secret)


class Process:
    """One worker, its I/O thread, and the main thread that watches over it."""

    def __init__(
        self,
        settings: Settings,
        caller: Callable[[Account], Caller],
        tracing: Tracing | None = None,
    ) -> None:
        """Build the worker. Raises `OSError` when the machine does not give what it needs."""
        self.worker = Worker(settings, version(DISTRIBUTION), caller, tracing)
        self.failed = False
        self.hurried = False
        self._verbose = False
        self._thread = Thread(target=self._turn, name="io", daemon=True)

    def start(self) -> None:
        """Take the signals over and begin."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        signal.signal(signal.SIGHUP, self._reload)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        signal.signal(signal.SIGUSR1, self._change_level)
        self.worker.loop.post(self.worker.start)
        self._thread.start()

    def wait(self, look: Callable[[], None]) -> int:
        """Until the worker has ended; `look` is called about twice a second meanwhile."""
        while self._thread.is_alive() and not self.hurried:
            self._thread.join(LOOK_EVERY)
            look()
        self.worker.closed()
        if self.hurried or self.failed or not self.worker.drained:
            log.error("ended", drained=False, hurried=self.hurried)
            return FAILED
        log.info("ended", drained=True)
        return DONE

    def _turn(self) -> None:
        try:
            self.worker.loop.run()
        except BaseException:
            self.failed = True
            log.critical("io_thread_failed", exc_info=True)
            raise

    def _stop(self, number: int, _: FrameType | None) -> None:
        """First signal: drain. Second: end at once; what is unacked goes back by itself."""
        if self.worker.draining or self.hurried:
            self.hurried = True
            return
        log.info("signal", name=signal.Signals(number).name)
        self.worker.loop.post(self.worker.drain)

    def _reload(self, _: int, __: FrameType | None) -> None:
        found = load(environment())
        if isinstance(found, Settings):
            self.worker.loop.post(lambda: self.worker.adopt(found))
            return
        self.worker.reload_failed = True
        for problem in found:
            log.error("settings_refused", problem=str(problem))

    def _change_level(self, _: int, __: FrameType | None) -> None:
        """SIGUSR1: debug, and back."""
        usual = self.worker.settings.log_level
        self._verbose = not self._verbose
        set_level("debug" if self._verbose else usual)
        log.warning("log_level_changed", level="debug" if self._verbose else usual)


class SystemdReporter:
    """Tells systemd that the worker has started, how it is, and that it is alive."""

    def __init__(self, worker: Worker, notifier: SystemdNotifier) -> None:
        self._worker = worker
        self._notifier = notifier
        self._announced = False
        self._said = ""

    def look(self) -> None:
        """Tell what has changed; feed the watchdog only while the worker makes progress."""
        if status.live(self._worker) is None:
            self._notifier.alive()
        summary = status.summary(self._worker)
        if self._worker.draining:
            self._say(summary, self._notifier.stopping)
        elif not self._announced:
            self._announced = True  # started, though RabbitMQ may be away: that is not our start
            self._say(summary, self._notifier.ready)
        else:
            self._say(summary, self._notifier.status)

    def _say(self, summary: str, how: Callable[[str], None]) -> None:
        if summary != self._said:
            self._said = summary
            how(summary)


def run(settings: Settings, caller: Callable[[Account], Caller] = client_of) -> int:
    """Serve until a signal ends it; the process's exit code. Logging is set up by the caller."""
    for warning in settings.warnings:
        log.warning("setting", warning=warning)
    spans = _spans(settings)
    try:
        process = Process(settings, caller, spans)
    except OSError as error:  # no descriptors, say: nothing of it is in the settings
        log.critical("cannot_start", why=str(error))
        return FAILED
    try:
        server = serve(settings.ops_address, _probes(process.worker))
    except OSError as error:
        address = "{}:{}".format(*settings.ops_address)
        log.critical("ops_address_unusable", address=address, why=str(error))
        return FAILED if error.errno in SCARCE else BAD_SETTINGS
    _spare_the_collector()
    with SystemdNotifier(settings.supervision.notify_socket) as notifier:
        process.start()
        try:
            return process.wait(SystemdReporter(process.worker, notifier).look)
        finally:
            server.close()
            if spans is not None:
                spans.close()


def _spare_the_collector() -> None:
    """Leave what stays for good out of Python's garbage collections, and have fewer of them.

    What an edit leaves behind is freed by reference counts. With Python's defaults, looking for
    cycles among the thousands of objects that stay took a tenth of all processor time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AT)


def _spans(settings: Settings) -> Spans | None:
    """Tracing, where it is asked for and installed."""
    if not settings.tracing:
        return None
    try:
        from worker.observability.tracing import exporting  # noqa: PLC0415 (what it imports is an extra)
    except ImportError as missing:
        mend = "pip install 'FILE[tracing]', with the wheel that the worker was installed from"
        log.warning("tracing_unavailable", why=str(missing), mend=mend)
        return None
    brokers = [shown(url.get_secret_value()) for url in settings.amqp_urls]
    return exporting(version(DISTRIBUTION), Names(settings.namespace).events, brokers)


def _probes(worker: Worker) -> Probes:
    metrics = Metrics(lambda: list(worker.lanes.values()), lambda: status.reading(worker))
    return Probes(
        live=lambda: status.live(worker),
        ready=lambda: status.ready(worker),
        lanes=lambda: status.lanes(worker),
        metrics=metrics.render,
        notes=lambda: status.notes(worker),
    )
