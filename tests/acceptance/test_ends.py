"""How the process starts and ends: signals, bad settings, a broker that is not there."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from tests.acceptance.kit import edit, publish, until

if TYPE_CHECKING:
    from ops.simulator.control import Simulator
    from tests.acceptance.conftest import NewWorker
    from tests.acceptance.kit import Subscriber


def test_sigterm_settles_what_is_in_flight_and_gives_the_rest_back_in_order(
    amqp_url: str,
    namespace: str,
    simulator: Simulator,
    new_worker: NewWorker,
    events: Subscriber,
) -> None:
    simulator.latency("50ms")
    worker = new_worker(RATE="200/s")
    ids = publish(amqp_url, namespace, [edit(7, name=f"{n:03}") for n in range(60)])
    until(lambda: len(events.take()) > 5)
    assert worker.stop() == 0
    calls, told = len(simulator.calls()), len(events.take())
    assert calls == told < len(ids), "a call that was in flight is not settled"
    worker.start()
    until(lambda: events.settled() == dict.fromkeys(ids, "applied"))
    assert [call.name for call in simulator.calls()] == [f"{n:03}" for n in range(60)]


def test_a_second_signal_ends_the_process_at_once(
    amqp_url: str,
    namespace: str,
    simulator: Simulator,
    new_worker: NewWorker,
    events: Subscriber,
) -> None:
    del events
    simulator.latency("30s")
    worker = new_worker()
    publish(amqp_url, namespace, [edit(7)])
    until(simulator.calls)
    worker.signal(signal.SIGTERM)
    until(lambda: "draining" in worker.asked("/readyz")[1])
    worker.signal(signal.SIGTERM)
    assert worker.process is not None
    assert worker.process.wait(5) == 1


def test_bad_settings_are_one_sentence_each_and_exit_code_78(new_worker: NewWorker) -> None:
    worker = new_worker(ready=False, RATE="fast", CONCURRENCY="0", API_KEY="")
    assert worker.process is not None
    assert worker.process.wait(10) == 78
    said = worker.log.read_text()
    for name in ("TASKEDIT_RATE", "TASKEDIT_CONCURRENCY", "TASKEDIT_API_KEY"):
        assert sum(name in line for line in said.splitlines()) == 1, said


def test_without_a_broker_the_worker_keeps_trying_and_says_why(
    new_worker: NewWorker, port: int
) -> None:
    worker = new_worker(ready=False, AMQP_URL=f"amqp://guest:hidden-word@127.0.0.1:{port}/%2F")
    until(lambda: worker.asked("/readyz")[0] == 503)
    until(lambda: "cannot connect" in worker.asked("/readyz")[1])
    assert worker.asked("/livez")[0] == 200
    assert worker.lines("cannot_connect")
    assert "hidden-word" not in worker.log.read_text() + worker.asked("/readyz")[1]
    assert worker.stop() == 1 or worker.process is not None
