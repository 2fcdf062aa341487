"""A run: load and faults for some seconds, then calm until all is settled, then the audit."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from threading import Event
from typing import TYPE_CHECKING

from tests.chaos import witness
from tests.chaos.audit import audit
from tests.chaos.evidence import Contact, Evidence, Strike

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.chaos.plan import Plan, Step
    from tests.chaos.report import Report
    from tests.chaos.stage import Stage

_LOOK = 0.1
PATIENCE = 90.0
"""Seconds without an outcome after the last fault; a suspended lane probes every minute."""


def run(
    stage: Stage,
    plan: Plan,
    seconds: float,
    *,
    tell: Callable[[str], None],
    patience: float = PATIENCE,
) -> Report:
    """Carry a plan out on a stage, and report what came of it (evidence.json has all of it).

    `patience`: how many seconds after the last fault may pass without an outcome, while edits
    wait, before the rest is taken for lost.
    """
    over = Event()
    stage.ledger.start()
    begun = time.monotonic()
    with ThreadPoolExecutor(4, thread_name_prefix="track") as pool:
        tracks = [
            pool.submit(_track, stage, steps, over, tell)
            for steps in (plan.around, plan.api, plan.hands, plan.accounts)
        ]
        try:
            while time.monotonic() - begun < seconds:  # what is under way then is mended early
                stage.tend()
                if any(one.done() and one.exception() for one in tracks):
                    break
                time.sleep(_LOOK)
        finally:
            over.set()
        strikes = [strike for one in tracks for strike in one.result()]
    stage.ledger.stop()
    tell(f"calm: {len(stage.unsettled())} of {len(stage.ledger.entries)} are to be settled")
    calm(stage, patience)
    evidence = _evidence(stage, strikes)
    (stage.folder / "evidence.json").write_text(json.dumps(asdict(evidence), default=sorted))
    return audit(evidence)


def calm(stage: Stage, patience: float) -> None:
    """Wait until every confirmed message has its outcome, then end the replicas in order."""
    settled, deadline = 0, time.monotonic() + patience
    while stage.unsettled() and time.monotonic() < deadline:
        stage.tend()
        if len(stage.witness.events) > settled:
            settled, deadline = len(stage.witness.events), time.monotonic() + patience
        time.sleep(_LOOK)
    for replica in stage.replicas:
        code = replica.worker.stop(60)
        if code:
            stage.ended.append(f"{replica.name} ended with {code} on SIGTERM")


def _track(
    stage: Stage, steps: Sequence[Step], over: Event, tell: Callable[[str], None]
) -> list[Strike]:
    strikes = []
    for step in steps:
        if over.wait(step.after):
            break
        tell(str(step))
        strikes.append(_carry_out(stage, step, over))
    return strikes


def _carry_out(stage: Stage, step: Step, over: Event) -> Strike:
    begun = struck = time.time()
    try:
        step.fault.strike(stage)
        struck = time.time()
        over.wait(step.lasts)
    finally:
        step.fault.mend(stage)
    return Strike(str(step.fault), begun, struck, time.time(), step.fault.cut(stage))


def _evidence(stage: Stage, strikes: Sequence[Strike]) -> Evidence:
    names = {replica.name for replica in stage.replicas}
    callers: dict[int, str] = {}
    contacts = []
    for call in stage.simulator.calls():
        if call.account in names:
            callers[call.connection] = call.account
        else:
            contacts.append(Contact(call, callers.get(call.connection, "unknown")))
    found = tuple(witness.journal(stage.broker))
    known = set(found)  # a journal that was deleted may have the same event again, of a later call
    earlier = (event for event in stage.witness.events.values() if event not in known)
    events = (*earlier, *found)
    if stage.scene.ahead:  # the workers' clocks are wrong: what was seen is later, but true
        seen = stage.witness.seen
        events = tuple(replace(event, at=seen.get(event.id, time.time())) for event in events)
    return Evidence(
        entries=(*stage.ledger.entries, *stage.extra),
        events=events,
        letters=tuple(witness.letters(stage.broker)),
        contacts=tuple(contacts),
        sent=tuple(at for replica in stage.replicas for proxy in replica.api for at in proxy.sent),
        strikes=tuple(strikes),
        ended=tuple(stage.ended),
        terms=tuple(stage.terms),
        owners=tuple(stage.owners),
        concurrency=stage.scene.concurrency,
        returns=tuple(stage.returns),
        pauses=tuple(stage.pauses),
        forgotten=tuple(stage.forgotten),
    )
