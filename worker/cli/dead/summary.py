"""What a redrive is going to do, and what it has done."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from worker.letters.words import counted, moment, plain, stamp

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.letters.done import Done
    from worker.letters.letter import Letter
    from worker.letters.past import Superseded
    from worker.letters.plan import Plan

SHOWN_AT_MOST = 10


def outlook_in_words(plan: Plan, wanted: int, *, dry_run: bool) -> Iterator[str]:
    """What is going to become of the letters that are meant; a line each."""
    if not wanted:
        yield "No dead letters match."
        return
    will = "would be" if dry_run else "to be"
    yield f"{counted(plan.sends)} of {wanted} {will} sent again."
    if plan.beyond:
        yield f"{plan.beyond} more are left because of --max."
    if plan.copies:
        yield f"{plan.copies} {will} taken out: they are copies of what was sent and settled."
    if plan.superseded:
        yield (
            f"{len(plan.superseded)} are left: a newer edit of the same job has been applied"
            " since (--even-if-superseded sends them all the same):"
        )
    for letter, by in plan.superseded[:SHOWN_AT_MOST]:
        yield f"  {_superseded(letter, by)}"
    if len(plan.superseded) > SHOWN_AT_MOST:
        yield f"  … and {len(plan.superseded) - SHOWN_AT_MOST} more"


def in_words(plan: Plan, done: Done) -> Iterator[str]:
    """What has become of them; a line each."""
    heard = f": {done.applied} applied, {done.rejected} rejected" if _was_heard(done) else ""
    yield f"Sent {done.sent} of {plan.sends}{heard}."
    if done.copies:
        yield f"Taken out as copies: {done.copies}."
    if done.unroutable:
        yield f"Left, for there is no queue to send them to: {done.unroutable}."
    if done.refused:
        yield f"Left, for RabbitMQ refused them: {done.refused}."
    if done.gone:
        yield f"Not there any more: {done.gone}."
    if done.unsure:
        yield f"Sent without a confirm: {done.unsure}. To send them again is harmless."
    if done.stopped:
        left = len(plan.moves) - done.moved
        yield f"{done.stopped[:1].upper()}{done.stopped[1:]}: {left} are left."


def in_json(plan: Plan, wanted: int, done: Done | None) -> str:
    """The same for machines; without `done`, what would be done."""
    found: dict[str, object] = {
        "wanted": wanted,
        "planned": plan.sends,
        "copies": plan.copies,
        "beyondMax": plan.beyond,
        "superseded": [
            {"messageId": letter.head.message_id, "by": by.message_id, "at": stamp(by.at)}
            for letter, by in plan.superseded
        ],
    }
    if done is not None:
        found |= {
            "sent": done.sent,
            "applied": done.applied,
            "rejected": done.rejected,
            "unroutable": done.unroutable,
            "refused": done.refused,
            "gone": done.gone,
            "unsure": done.unsure,
            "stopped": done.stopped or None,
        }
    return json.dumps(found)


def _was_heard(done: Done) -> bool:
    return done.applied + done.rejected > 0


def _superseded(letter: Letter, by: Superseded) -> str:
    newer = by.message_id or "one without a message id"
    return plain(f"{letter.name}, job {letter.head.job_id}: {newer}, applied {moment(by.at)}")
