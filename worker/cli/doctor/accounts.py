"""Accounts: how each is doing now, and whether the provider takes its key and secret."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from worker.api.client import Client
from worker.api.probe import NOTHING
from worker.cli.doctor.check import Check, Health
from worker.cli.lanes import why_stopped
from worker.core.judge import CLOCK, FAULTS, MEANINGS, SUCCESS, Fault
from worker.core.reply import Answered

if TYPE_CHECKING:
    from worker.account import Account
    from worker.cli.lanes import LaneFacts


def account(each: Account, lane: LaneFacts | None) -> Check:
    """What a running worker knows of an account; where none does, what the provider says."""
    name = f"account {each.name}"
    if lane is not None and (why := why_stopped(lane)):
        if lane["state"] == "suspended":
            fix = "see ops/runbook.md, by the status; the worker probes and resumes by itself"
            return Check(name, Health.BAD, why, fix)
        fix = f"taskedit resume {each.name}" if lane["state"] == "paused" else ""
        return Check(name, Health.NOTE, why, fix)
    if lane is not None and lane.get("last_success"):
        at = lane["last_success"]
        says = f"an edit was applied at {at}: its key, secret and address are right"
        return Check(name, Health.GOOD, says)
    return _credentials(each, name)


def _credentials(each: Account, name: str) -> Check:
    """Whether the provider takes key and secret of an empty request, which is no edit.

    More than that only an edit can show. It counts towards the account's limit, once.
    """
    try:
        client = Client(each.endpoint, each.api_key, each.api_secret)
    except ValueError as error:
        return Check(name, Health.BAD, str(error), f"correct the account {each.name}")
    reply = client.call(NOTHING, int(time.time()))
    client.close()
    if not isinstance(reply, Answered) or reply.status.startswith("http:"):
        says = f"{each.endpoint.task_edit_url} did not say whether it takes its key and secret"
        return Check(name, Health.UNVERIFIED, says)
    meaning = MEANINGS.get(reply.status, reply.reason or "not documented")
    answered = f"{reply.status} ({meaning}) to an empty request"
    if reply.status == CLOCK:
        says = f"the provider answers {answered}; the worker corrects its clock by itself"
        return Check(name, Health.NOTE, says, "timedatectl set-ntp true")
    if FAULTS.get(reply.status) is Fault.SUSPEND:
        fix = f"correct key and secret of {each.name}, or see ops/runbook.md, by the status"
        return Check(name, Health.BAD, f"the provider answers {answered}", fix)
    if reply.status == SUCCESS:
        return Check(name, Health.UNVERIFIED, f"the provider answers {answered}: unexpected")
    says = f"the provider takes its key and secret: it answers {answered}; only an edit shows more"
    return Check(name, Health.GOOD, says)
