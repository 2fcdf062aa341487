"""The provider's API: whether it can be reached, by TLS, and whether our clock is right."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from worker.api.probe import probe
from worker.cli.doctor.check import Check, Health
from worker.cli.exits import ABSENT, BAD_SETTINGS
from worker.core.reply import Answered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.account import Account
    from worker.api.probe import Probe
    from worker.settings import Settings

ENDS_SOON: Final = timedelta(days=14)
ELSEWHERE: Final = frozenset(("http:404", "http:405", "http:410"))
"""What a server answers that has no such path, or another behind it."""
SKEW_AT_MOST: Final = timedelta(seconds=20)
"""How long the provider takes a timestamp is unknown; half a minute would be little."""


def reachable(settings: Settings) -> Iterator[Check]:
    """Each address that the accounts call, once, by an empty request without credentials."""
    seen = set()
    for account in settings.accounts:
        if account.endpoint not in seen:
            seen.add(account.endpoint)
            yield from _seen(account)


def _seen(account: Account) -> Iterator[Check]:
    try:
        found = probe(account.endpoint)
    except ValueError as error:
        yield Check("api", Health.BAD, str(error), "correct TASKEDIT_API_URL", BAD_SETTINGS)
        return
    if not found.reached:
        mend = f"curl -sS -o /dev/null {account.endpoint.url}"
        yield Check("api", Health.BAD, found.detail, mend, ABSENT)
        return
    yield _path(account, found)
    yield _secure(account, found)
    yield _clock(found)


def _path(account: Account, found: Probe) -> Check:
    """Whether what answers is taskEdit, by what it says."""
    url, reply = account.endpoint.task_edit_url, found.reply
    if isinstance(reply, Answered) and not reply.status.startswith("http:"):
        return Check("api", Health.GOOD, f"{url} is there: it answers with status {reply.status}")
    status = str(reply.status if reply is not None else None)
    if status in ELSEWHERE or status.startswith(("http:2", "http:3")):
        says = f"{url} is not the provider's taskEdit: {found.detail}"
        return Check("api", Health.BAD, says, "correct TASKEDIT_API_URL")
    says = f"{found.detail}, which does not show whether {url} is there"
    return Check("api", Health.UNVERIFIED, says)


def _secure(account: Account, found: Probe) -> Check:
    if not account.endpoint.url.startswith("https:"):
        says = f"{account.endpoint.url} is called in clear text"
        return Check("tls", Health.NOTE, says, "write TASKEDIT_API_URL with https://")
    if found.certificate_ends is None:
        return Check("tls", Health.UNVERIFIED, "the end of its certificate is not told")
    ends = f"{found.certificate_ends:%Y-%m-%d}"
    if found.certificate_ends - datetime.now(UTC) < ENDS_SOON:
        return Check("tls", Health.NOTE, f"verified; the certificate ends soon, on {ends}")
    return Check("tls", Health.GOOD, f"verified; the certificate ends on {ends}")


def _clock(found: Probe) -> Check:
    if found.skew is None:
        return Check("clock", Health.UNVERIFIED, "the API's host tells no Date")
    seconds = found.skew.total_seconds()
    says = f"{abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} the API's Date header"
    if abs(found.skew) > SKEW_AT_MOST:
        says += "; the worker corrects itself when the API complains"
        return Check("clock", Health.NOTE, says, "timedatectl set-ntp true")
    return Check("clock", Health.GOOD, says)
