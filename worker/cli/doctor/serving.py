"""What a running worker knows and no command can try: accounts, credentials, the path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from worker.cli import running
from worker.cli.doctor.check import Check, Health
from worker.cli.exits import BAD_SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.account import Account
    from worker.settings import Settings


def seen(settings: Settings) -> Iterator[Check]:
    """The address of the ops HTTP, and what `/lanes` there tells of each account."""
    host, port = settings.ops_address
    place = f"{host}:{port}"
    lanes = running.lanes(settings.ops_address) if port else None
    if lanes is not None:
        yield Check("worker", Health.GOOD, f"one answers at {place}")
    elif why := running.refusal(settings.ops_address):
        says = f"nothing can listen at TASKEDIT_OPS_ADDRESS, {place}, and no worker answers: {why}"
        fix = f"ss -ltnp 'sport = :{port}', or set TASKEDIT_OPS_ADDRESS"
        yield Check("ops address", Health.BAD, says, fix, BAD_SETTINGS)
    else:
        yield Check("worker", Health.UNVERIFIED, f"none answers at {place}: no account's state")
    for account in settings.accounts:
        yield _account(account, (lanes or {}).get(account.name))


def _account(account: Account, lane: dict[str, Any] | None) -> Check:
    """Key, secret and path are only proven by an edit that was applied."""
    name = f"account {account.name}"
    if lane is not None and (why := running.stopped(lane)):
        suspended = lane["state"] == "suspended"
        fix = "see ops/runbook.md, by the status; the worker probes and resumes by itself"
        return Check(name, Health.BAD if suspended else Health.NOTE, why, fix)
    if lane is not None and lane.get("last_success"):
        says = (
            f"an edit was applied at {lane['last_success']}: its key, secret and address are right"
        )
        return Check(name, Health.GOOD, says)
    says = (
        f"only an edit shows whether the provider takes its key and secret, and whether"
        f" {account.endpoint.url}/taskEdit is there; none has been applied by a worker seen here"
    )
    return Check(name, Health.UNVERIFIED, says)
