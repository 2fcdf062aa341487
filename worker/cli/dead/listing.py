"""`taskedit dead list`: how many letters there are, why, and since when."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from worker.cli.dead.selection import letter_filter_options, selected
from worker.cli.sessions import at_broker, read_settings
from worker.cli.terminal import width
from worker.deadletters.filter import Groups
from worker.deadletters.render import age, columns, counted, plain, stamp

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.amqp.session import Session
    from worker.deadletters.filter import DeadLetterFilter, Group

_NUMBERS = frozenset((0, 3, 4))
_CAUSE_SHOWN = 80


@click.command(name="list")
@letter_filter_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for each group.")
def command(wanted: DeadLetterFilter, *, as_json: bool) -> None:
    """Count the dead letters by cause: reason, API status and detail; with their ages.

    In the detail quoted values are written … and numbers N, so that one cause is one group.
    """
    at, found = datetime.now(UTC), at_broker(read_settings(), lambda each: _groups(each, wanted))
    for line in (_json(group, at) for group in found) if as_json else _table(found, at):
        click.echo(line)
    click.echo(f"{counted(sum(group.count for group in found))}.", err=True)


async def _groups(session: Session, wanted: DeadLetterFilter) -> list[Group]:
    groups = Groups()
    async for held in selected(session, "list", wanted):
        groups.add(held.letter)
    return groups.listed()


def _table(groups: list[Group], at: datetime) -> Iterator[str]:
    rows = [("COUNT", "REASON", "STATUS", "OLDEST", "NEWEST", "ACCOUNTS", "CAUSE")]
    rows += [
        (
            str(group.count),
            plain(group.reason) or "?",
            plain(group.status) or "-",
            age(group.oldest, at),
            age(group.newest, at),
            ", ".join(f"{name or '-'} {count}" for name, count in group.accounts.most_common()),
            plain(group.cause, _CAUSE_SHOWN).replace("\n", " "),
        )
        for group in groups
    ]
    return columns(rows, _NUMBERS, width()) if groups else iter(())


def _json(group: Group, at: datetime) -> str:
    return json.dumps(
        {
            "reason": group.reason,
            "status": group.status or None,
            "cause": group.cause,
            "count": group.count,
            "oldest": stamp(group.oldest),
            "newest": stamp(group.newest),
            "oldestSeconds": _seconds(group.oldest, at),
            "newestSeconds": _seconds(group.newest, at),
            "accounts": dict(group.accounts),
            "detail": group.detail,
        },
        ensure_ascii=False,
    )


def _seconds(since: datetime | None, at: datetime) -> int | None:
    return None if since is None else max(0, round((at - since).total_seconds()))
