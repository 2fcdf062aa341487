"""What the console's pages are made from: values only, in no language.

Times are aware datetimes, rates are calls a second, keys are texts fit for an address. Texts that
a publisher, the provider or a worker wrote are passed on as they are: they are data, and hostile.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, Literal, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from schemas import Paused

Part = Literal["fleet", "dead", "events", "operations"]
"""What can change by itself on a page."""
GroupedBy = Literal["cause", "account", "app", "hour"]
PlanAction = Literal["redrive", "discard", "mend"]
PlanState = Literal["preparing", "ready", "failed", "used", "expired"]
OperationState = Literal[
    "running", "ended", "incomplete", "stopped", "failed", "interrupted", "unknown"
]
HOUR: Final = "%Y-%m-%dT%H"
Eligible = Literal["redrivable", "superseded", "settled", "unknown"]


class UnavailableError(Exception):
    """RabbitMQ is needed for this and is away, or would not do it."""

    def __init__(self, why: str, since: datetime | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.since = since


def fault(error: Exception) -> str:
    """Why something is not known, when it is because of a fault of this program's."""
    return f"a fault in this console, see its log: {type(error).__name__}: {error}"


class RefusedError(Exception):
    """What was asked for cannot be done; `kind` says why, for the pages to word."""

    def __init__(self, kind: str, **facts: object) -> None:
        super().__init__(kind)
        self.kind = kind
        """One of plan_expired, plan_unknown, plan_not_ready, nothing_to_do, busy, no_account,
        no_operation, not_interrupted, not_ours, rest_unknown, gone, paused_meanwhile."""
        self.facts = facts


# The fleet


@dataclass(frozen=True, slots=True)
class BrokerState:
    """Whether RabbitMQ answers."""

    is_up: bool
    since: datetime
    """Since when it is so."""
    heard_at: datetime | None = None
    """When it was heard last; None before the first time."""
    why: str | None = None
    """Why it cannot be reached."""


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event of the journal."""

    id: str
    at: datetime
    outcome: str
    account: str | None
    app_id: str | None
    job_id: int | None
    message_id: str | None
    correlation_id: str | None
    reason: str | None
    status: str | None
    api_reason: str | None
    detail: str | None
    fields: tuple[tuple[str, str], ...]
    """Field and problem, of an invalid edit."""
    attempts: int
    superseded_by: str | None
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Account:
    """One account over the whole fleet."""

    name: str
    state: str
    """running, throttled, suspended or paused as its worker says; unserved when none does."""
    why: str | None = None
    api_status: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    """When it is probed next, or when a throttle or a pause ends."""
    paused: Paused | None = None
    """The pause that holds, also while no worker runs."""
    limits: str = ""
    rate_allowed: float | None = None
    rate_used: float = 0.0
    used_lately: tuple[float, ...] = ()
    """Calls a second, oldest first: a quarter of an hour, one for each 30 seconds."""
    waiting: int | None = None
    """Edits in RabbitMQ that wait or are held; None when the queue cannot be seen."""
    seconds_left: float | None = None
    """How long what waits takes at the allowed rate; None while nothing goes out."""
    dead: int | None = None
    """None before the dead letters have been looked at."""
    last_success: datetime | None = None
    replica: str | None = None
    """Who serves it."""
    statuses: tuple[tuple[str, int], ...] = ()
    """API statuses of the last quarter of an hour, the most frequent first."""
    rejections: tuple[EventRow, ...] = ()
    """The newest ten of the last quarter of an hour."""


@dataclass(frozen=True, slots=True)
class Replica:
    """One worker, as its heartbeats tell."""

    name: str
    version: str
    serves: tuple[str, ...]
    stands_by: tuple[str, ...]
    heard_at: datetime
    is_silent: bool
    is_ready: bool
    why: str | None = None
    """Why it is not ready."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that somebody may have to do something about."""

    kind: str
    """broker_away, fleet_unseen, unserved, suspended, paused, throttled, rejections,
    replica_silent, replica_not_ready, letters_unseen, journal_unread or operation_interrupted."""
    account: str | None = None
    replica: str | None = None
    since: datetime | None = None
    facts: Mapping[str, object] = field(default_factory=dict)
    """Of an account: why, api_status, waiting, until, by; rejections: cause, reason, status,
    fields, detail, count, left; operation_interrupted: operation, left; others: why."""


@dataclass(frozen=True, slots=True)
class LettersState:
    """How well the dead letters are known."""

    looked_at: datetime | None = None
    """When the queue was looked at last; None before the first look."""
    is_looking: bool = False
    seen: int = 0
    expected: int = 0
    """Of a look under way: how many letters were seen, and how many there are to see."""
    total: int | None = None
    """How many there are: by RabbitMQ's own count, or what is known while somebody holds some, for
    those it does not count; None before either."""
    known: int = 0
    """How many are known, copies included."""
    looks: int = 0
    """How often the queue has been looked at."""
    busy_by: str | None = None
    """Who is at the letters at the moment, as they say."""
    operation: OperationRow | None = None
    """What is at them at the moment, as the record of operations says."""
    why: str | None = None
    """Why they could not be looked at."""


@dataclass(frozen=True, slots=True)
class JournalState:
    """How much of the journal is known."""

    back_to: datetime | None = None
    """Of the oldest event that is known; None for none."""
    newest: datetime | None = None
    is_complete: bool = False
    """Whether it goes back to the journal's beginning."""
    events: int = 0
    why: str | None = None
    """Why it cannot be read."""


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that the first page shows, as it was at one moment."""

    at: datetime
    broker: BrokerState
    accounts: tuple[Account, ...] = ()
    replicas: tuple[Replica, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    """The worst first."""
    letters: LettersState = LettersState()
    journal: JournalState = JournalState()
    is_heard: bool = True
    """Whether workers have had the time to be heard: before that nobody knows what is missing."""


# Dead letters


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """A letter is meant if it is of everything that is given."""

    cause: str | None = None
    account: str | None = None
    """A name; ``-`` for letters of no account."""
    app: str | None = None
    hour: str | None = None
    """In UTC, as `HOUR` writes it: ``2026-11-27T09``."""
    reason: str | None = None
    status: str | None = None
    job: int | None = None
    message_id: str | None = None
    died_before: str | None = None
    """RFC 3339: what died later is not meant."""

    def told(self) -> dict[str, str | int]:
        """What narrows it, as an operation records it."""
        named = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in named.items() if value is not None}


@dataclass(frozen=True, slots=True)
class LetterRow:
    """One dead letter in a list."""

    key: str
    cause: str
    reason: str
    status: str
    fields: tuple[str, ...]
    detail: str
    account: str | None
    app_id: str | None
    job_id: int | None
    message_id: str | None
    event_id: str
    dead_at: datetime | None
    redrives: int | None
    """None of one that is known by its event only, as is the size."""
    attempts: str
    size: int | None
    copies: int = 1
    """More than one after a crash: they end together."""


@dataclass(frozen=True, slots=True)
class Group:
    """Dead letters that have something in common."""

    by: GroupedBy
    id: str
    """What a filter takes for it."""
    count: int
    oldest: datetime | None
    newest: datetime | None
    accounts: tuple[str, ...]
    reason: str = ""
    status: str = ""
    fields: tuple[str, ...] = ()
    detail: str = ""
    """With numbers and quoted texts masked. All four of a group by cause only."""


Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Some of what was asked for: letters in the order of their deaths, others the newest first."""

    rows: tuple[Row, ...]
    next: str | None
    """The cursor of the next page."""
    total: int | None = None
    """How many there are on all pages; of letters only."""


@dataclass(frozen=True, slots=True)
class EventFilter:
    """An event is meant if it is of everything that is given."""

    account: str | None = None
    outcome: str | None = None
    job: int | None = None
    message_id: str | None = None


@dataclass(frozen=True, slots=True)
class OperationRow:
    """What an operator did, or is doing."""

    id: str
    at: datetime
    actor: str
    """As they say: a claim. `user` is vouched for by RabbitMQ."""
    user: str | None
    via: str
    action: str
    filter: Mapping[str, object]
    count: int | None
    ids: tuple[str, ...]
    """Event ids of its letters, the first thousand."""
    why: str | None
    ended: datetime | None
    result: Mapping[str, object] | None
    state: OperationState
    """unknown: begun elsewhere and not ended yet, or nobody knows. incomplete: it has ended, and
    some of its letters were not taken by a queue, or nobody knows whether they were."""
    done: int = 0
    """Letters there is nothing more to do about, as far as that is known."""
    applied: int = 0
    rejected: int = 0
    left: int | None = None
    """Letters of it that are still dead; None when that is not known."""
    step: int | None = None
    """How many letters the canary's step under way has."""
    is_ours: bool = False
    """It runs in this console, and can be stopped here, as a discard cannot."""
    can_go_on: bool = False


@dataclass(frozen=True, slots=True)
class LetterDetail:
    """All that is known of one dead letter."""

    row: LetterRow
    body: bytes
    content_type: str | None
    properties: tuple[tuple[str, str], ...]
    headers: tuple[tuple[str, str], ...]
    """The publisher's and ours, those that are texts."""
    received_at: datetime | None
    check: MendCheck
    """What the worker would say of it now."""
    eligible: Eligible
    superseded_by: str | None
    superseded_at: datetime | None
    events: tuple[EventRow, ...]
    """Of its job, oldest first."""
    sent_again: tuple[OperationRow, ...]


@dataclass(frozen=True, slots=True)
class MendCheck:
    """What the worker would say of a body; nothing at all when it would take it."""

    detail: str | None
    problems: tuple[tuple[str, str], ...]
    """Field and problem."""
    difference: tuple[str, ...] = ()
    """Lines of a unified difference to the letter's own body, without heads."""

    @property
    def is_good(self) -> bool:
        """Whether the worker would take it."""
        return self.detail is None


# Plans


@dataclass(frozen=True, slots=True)
class Staying:
    """A letter that a plan leaves where it is."""

    row: LetterRow
    why: Literal["superseded"]
    by: str | None
    """The message id of the newer edit."""
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What is going to become of letters, frozen by their keys."""

    id: str
    action: PlanAction
    filter: LetterFilter
    state: PlanState
    at: datetime
    expires_at: datetime
    by: str
    why_failed: str | None = None
    total: int = 0
    """How many letters it is about."""
    sends: int = 0
    copies: int = 0
    """Taken out without being sent, for they were settled."""
    stays: tuple[Staying, ...] = ()
    """The first hundred, as are all lists here."""
    stays_count: int = 0
    rejected_again: tuple[tuple[LetterRow, MendCheck], ...] = ()
    """What the worker would reject as it is."""
    rejected_again_count: int = 0
    rows: tuple[LetterRow, ...] = ()
    stopped_accounts: tuple[tuple[str, str], ...] = ()
    """Accounts in whose lane they would only wait, and their state."""
    knows_journal: bool = True
    """Without a journal nobody can tell what is superseded."""
    operation: str | None = None
    """Once it has been run."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a plan is to be run."""

    canary: int | None = None
    """Send so many first, and twice as many while they are applied; None: all."""
    stop_at: float = 0.1
    """The share of a step, 0 to 1, that may not be applied."""
    rate: str | None = None
    """Such as ``5/s``."""
    why: str | None = None


# A job, a search, a check


@dataclass(frozen=True, slots=True)
class JobTimeline:
    """What is known of a job."""

    job_id: int
    events: tuple[EventRow, ...]
    """Oldest first."""
    letters: tuple[LetterRow, ...]
    operations: tuple[OperationRow, ...]
    journal: JournalState
    waiting: tuple[tuple[str, int, float | None], ...]
    """Account, edits that wait, seconds that they take: an edit of the job may be among them."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a text may mean."""

    accounts: tuple[str, ...] = ()
    letters: tuple[LetterRow, ...] = ()
    events: tuple[EventRow, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One thing that was checked."""

    name: str
    result: Literal["good", "bad", "unverified"]
    detail: str
    advice: str = ""
