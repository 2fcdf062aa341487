"""What the worker promises, held against what really came of the demo's messages.

The simulator's own record of calls is one witness, the events and the dead letters are the other.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from ops.demo.worker import ACME, CLIENTS, GLOBEX

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ops.demo.messages import Message
    from ops.demo.post import Letter
    from ops.simulator.control import Call, Summary
    from schemas import Event


@dataclass(frozen=True, slots=True)
class Pause:
    """When a lane was throttled or suspended, in epoch seconds."""

    account: str
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that the demo has seen."""

    messages: Sequence[Message]
    events: Sequence[Event]
    letters: Sequence[Letter]
    calls: Sequence[Call]
    summaries: Mapping[str, Summary]
    """By API key."""
    pauses: Sequence[Pause]
    left: int
    """Edits that are still in a queue."""
    said: str
    """All that the worker has logged."""


@dataclass(frozen=True, slots=True)
class Promise:
    """One promise, and whether it was kept."""

    name: str
    kept: bool
    detail: str


def promises(seen: Evidence) -> list[Promise]:
    """Each promise with its evidence."""
    return [
        _nothing_lost(seen),
        _in_order(seen),
        _within_the_limit(seen),
        _fair(seen),
        _blame_is_right(seen),
        _repeats_are_harmless(seen),
        _nothing_leaks(seen),
    ]


def _nothing_lost(seen: Evidence) -> Promise:
    expected = {message.id: message.expect for message in seen.messages}
    found = {str(event.data.messageId): _outcome(event) for event in seen.events}
    dead = Counter(letter.id for letter in seen.letters)
    lost = [ident for ident in expected if ident not in found]
    rejected = Counter(ident for ident, outcome in found.items() if outcome != "applied")
    bodies = {message.id: message.body.encode() for message in seen.messages}
    intact = all(letter.body == bodies[letter.id] for letter in seen.letters)
    kept = not lost and not seen.left and dead == rejected and intact
    detail = f"lost {len(lost)}; each of {len(dead)} rejected edits is a dead letter, byte for byte"
    return Promise("nothing lost", kept, detail)


def _in_order(seen: Evidence) -> Promise:
    """Each job's calls in the order of its messages, one at a time."""
    published: dict[str, list[str]] = defaultdict(list)
    for message in dict.fromkeys(seen.messages):
        published[message.id.partition("-")[0]].append(message.body)
    called: dict[str, list[str]] = defaultdict(list)
    for call in seen.calls:
        called[str(call.job)].append(str(call.name))
    wrong = [
        job
        for job, names in called.items()
        if not _follows([name for name, _ in groupby(names)], published[job])
    ]
    overlaps = sum(call.overlap or call.trailing for call in seen.calls)
    several = sum(len(set(names)) > 1 for names in called.values())
    detail = f"{several} jobs had several edits; out of order {len(wrong)}, overlapping {overlaps}"
    return Promise("in order", not wrong and not overlaps, detail)


def _follows(names: Sequence[str], bodies: Sequence[str]) -> bool:
    """Whether the names that were called are those of some of the bodies, in their order."""
    rest = iter(bodies)
    return all(any(f'"name": "{name}"' in body for body in rest) for name in names)


def _within_the_limit(seen: Evidence) -> Promise:
    parts, refused, kept = [], 0, True
    for client in CLIENTS:
        summary = seen.summaries[client.key]
        parts.append(f"{client.name} {summary.peak} of {client.allowed}")
        kept &= summary.peak <= client.allowed
        refused += summary.throttled
    detail = f"calls in the fullest second: {', '.join(parts)} allowed; refused: {refused}"
    return Promise("within the limit", kept and not refused, detail)


def _fair(seen: Evidence) -> Promise:
    """While globex could not be served, acme was."""
    served = {
        each: sum(
            each.began <= call.arrived < each.ended
            for call in seen.calls
            if call.account == ACME.key
        )
        for each in seen.pauses
        if each.account == GLOBEX.name
    }
    pause, calls = max(served.items(), key=lambda one: one[1], default=(Pause("", 0, 0), 0))
    seconds = pause.ended - pause.began
    detail = f"in {seconds:.1f} s in which globex was suspended, acme made {calls} calls"
    return Promise("fair", calls > 0, detail)


def _blame_is_right(seen: Evidence) -> Promise:
    expected = {message.id: message.expect for message in seen.messages}
    wrong = [
        event for event in seen.events if _outcome(event) != expected.get(str(event.data.messageId))
    ]
    detail = f"lanes paused {len(seen.pauses)} times, and not one edit was rejected for that"
    if wrong:
        detail = "; ".join(
            f"{event.data.messageId} became {_outcome(event)}" for event in wrong[:5]
        )
    return Promise("blame is right", not wrong, detail)


def _repeats_are_harmless(seen: Evidence) -> Promise:
    copies = Counter(message.id for message in seen.messages)
    repeated = {ident for ident, count in copies.items() if count > 1}
    ids: dict[str, list[str]] = defaultdict(list)
    for event in seen.events:
        ids[str(event.data.messageId)].append(event.id)
    jobs = {int(ident.partition("-")[0]) for ident in repeated}
    applied = Counter(call.job for call in seen.calls if call.applied and call.job in jobs)
    kept = all(len(ids[ident]) == copies[ident] and len(set(ids[ident])) == 1 for ident in repeated)
    kept &= all(applied[job] == 1 for job in jobs)
    detail = f"{len(repeated)} came twice: applied once each, and told again by the same event id"
    return Promise("repeats are harmless", kept, detail)


def _nothing_leaks(seen: Evidence) -> Promise:
    texts = [seen.said, *(event.model_dump_json() for event in seen.events)]
    texts += [f"{letter.headers}{letter.body!r}" for letter in seen.letters]
    leaks = sum(client.secret in text for text in texts for client in CLIENTS)
    detail = f"API secrets in log lines, events and dead letters: {leaks}"
    return Promise("nothing leaks", leaks == 0, detail)


def outcomes(events: Sequence[Event]) -> Iterator[tuple[int, str]]:
    """How many edits became what, the applied ones first; each message once."""
    last = {event.data.messageId: event for event in events}
    counts = Counter(map(_outcome, last.values()))
    yield counts.pop("applied", 0), "applied"
    for outcome, count in counts.most_common():
        yield count, f"rejected: {outcome}"


def _outcome(event: Event) -> str:
    return "applied" if event.data.reason is None else event.data.reason.value
