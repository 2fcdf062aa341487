"""What somebody may have to do something about, worst first; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from worker.console.model import Trouble

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from worker.console.causes import Cause
    from worker.console.model import Account, BrokerState, OperationRow, Replica

WORST_FIRST: Final = (
    "broker_away",
    "fleet_unseen",
    "unserved",
    "suspended",
    "operation_interrupted",
    "replica_silent",
    "replica_not_ready",
    "rejections",
    "paused",
    "throttled",
    "letters_unseen",
    "journal_unread",
)
_MISSED: Final = frozenset(("fleet_unseen", "unserved"))
REJECTIONS_AT_LEAST: Final = 5
"""So many of one cause in an hour are more than a publisher's slip."""


def troubles_of(
    *,
    broker: BrokerState,
    accounts: Iterable[Account],
    replicas: Iterable[Replica],
    rejections: Iterable[tuple[str, Cause, int, int | None]],
    interrupted: Iterable[OperationRow],
    unread: Mapping[str, str | None],
    is_heard: bool,
) -> tuple[Trouble, ...]:
    """Every trouble, the worst first; of one kind the account with most waiting first.

    `rejections`: account, cause, how many edits in the last hour, and how many letters of the cause
    there are, None if that is not known. `unread`: why letters or journal cannot be read, by the
    kind of trouble that it is; None if they can. `is_heard`: workers have had the time to be heard;
    before that none is missed.
    """
    found = [
        *_of_broker(broker, replicas),
        *(trouble for account in accounts for trouble in _of_account(account)),
        *(trouble for replica in replicas for trouble in _of_replica(replica)),
        *_of_letters(rejections, interrupted),
        *(Trouble(kind, facts={"why": why}) for kind, why in unread.items() if why is not None),
    ]
    unsaid = frozenset() if is_heard else _MISSED
    if any(each.kind == "fleet_unseen" for each in found) and is_heard:
        unsaid = frozenset(("unserved", "replica_silent"))  # that says it of all of them
    found = [each for each in found if each.kind not in unsaid]
    return tuple(sorted(found, key=_order))


def _order(trouble: Trouble) -> tuple[int, int, str]:
    size = trouble.facts.get("count") or trouble.facts.get("waiting") or 0
    worst = WORST_FIRST.index(trouble.kind)
    return worst, -size if isinstance(size, int) else 0, trouble.account or ""


def _of_broker(broker: BrokerState, replicas: Iterable[Replica]) -> Iterator[Trouble]:
    if not broker.is_up:
        yield Trouble("broker_away", since=broker.since)
    elif all(replica.is_silent for replica in replicas):
        yield Trouble("fleet_unseen")


def _of_account(account: Account) -> Iterator[Trouble]:
    if account.state == "running":
        return
    kind = account.state if account.state in WORST_FIRST else "suspended"
    facts: dict[str, object] = {
        "why": account.why,
        "api_status": account.api_status,
        "waiting": account.waiting,
        "until": account.until,
        "by": account.paused.by if account.paused else None,
    }
    yield Trouble(kind, account=account.name, since=account.since, facts=facts)


def _of_replica(replica: Replica) -> Iterator[Trouble]:
    if replica.is_silent:
        yield Trouble("replica_silent", replica=replica.name, since=replica.heard_at)
    elif not replica.is_ready:
        yield Trouble("replica_not_ready", replica=replica.name, facts={"why": replica.why})


def _of_letters(
    rejections: Iterable[tuple[str, Cause, int, int | None]],
    interrupted: Iterable[OperationRow],
) -> Iterator[Trouble]:
    for account, cause, count, left in rejections:
        if (count if left is None else min(count, left)) >= REJECTIONS_AT_LEAST:
            facts: dict[str, object] = {
                "cause": cause.id,
                "reason": cause.reason,
                "status": cause.status,
                "fields": cause.fields,
                "detail": cause.detail,
                "count": count,
                "left": left,
            }
            yield Trouble("rejections", account=account, facts=facts)
    for row in interrupted:
        facts = {"operation": row.id, "left": row.left}
        yield Trouble("operation_interrupted", since=row.at, facts=facts)
