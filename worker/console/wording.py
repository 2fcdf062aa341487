"""States, reasons, statuses and remedies in words: one table each, which the runbook's agree with.

Texts are English; `gettext` has the other languages'. `N_` marks what is translated when a page is
made, so that the catalogue's tool finds it.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from worker.core.judge import MEANINGS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def N_(text: str) -> str:  # noqa: N802 - gettext's own name
    """The text as it is."""
    return text


STATES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "running": ("●", N_("running")),
        "throttled": ("◔", N_("throttled")),
        "suspended": ("✖", N_("suspended")),
        "paused": ("‖", N_("paused")),
        "unserved": ("○", N_("not served")),
    }
)
"""Icon and word of an account's state."""

OUTCOMES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "applied": ("✔", N_("applied")),
        "rejected": ("✖", N_("rejected")),
        "superseded": ("↷", N_("superseded")),
    }
)

ACTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "redrive": N_("sent again"),
        "discard": N_("discarded"),
        "import": N_("imported"),
        "mend": N_("mended and sent again"),
        "pause": N_("paused"),
        "resume": N_("resumed"),
    }
)

OPERATION_STATES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "running": ("…", N_("running")),
        "ended": ("✔", N_("ended")),
        "incomplete": ("!", N_("ended, not all were sent")),
        "stopped": ("■", N_("stopped")),
        "failed": ("✖", N_("failed")),
        "interrupted": ("!", N_("interrupted")),
        "unknown": ("?", N_("begun, not known to have ended")),
    }
)

NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "account": N_("account"),
        "accounts": N_("accounts"),
        "app": N_("app"),
        "cause": N_("cause"),
        "died_before": N_("died before"),
        "files": N_("files"),
        "goes_on": N_("goes on with"),
        "hour": N_("hour"),
        "id": N_("id"),
        "job": N_("job"),
        "message_id": N_("message"),
        "newer_than": N_("newer than"),
        "older_than": N_("older than"),
        "outcome": N_("outcome"),
        "reason": N_("reason"),
        "status": N_("status"),
        "applied": N_("applied"),
        "copies": N_("copies"),
        "discarded": N_("discarded"),
        "done": N_("done"),
        "failed": N_("failed"),
        "goes_on_in": N_("continued in"),
        "gone": N_("gone"),
        "imported": N_("imported"),
        "moved": N_("moved"),
        "refused": N_("refused"),
        "rejected": N_("rejected"),
        "replicas": N_("replicas"),
        "sent": N_("sent"),
        "stopped": N_("stopped"),
        "unroutable": N_("unroutable"),
        "unsure": N_("unsure"),
    }
)
"""What an operation was asked for and what came of it, by the names that its record has."""

_ENDS: Final = (
    (re.compile(r"stopped"), N_("by hand")),
    (re.compile(r"interrupted"), N_("interrupted")),
    (
        re.compile(r"(?P<n>\d+) outcomes did not come: are the worker and its lane running\?"),
        N_("%(n)s outcomes did not come: are the worker and its lane running?"),
    ),
    (
        re.compile(r"(?P<n>\d+) of (?P<size>\d+) were not applied"),
        N_("%(n)s of %(size)s were not applied"),
    ),
)
"""Why an operation ended early, as records have it, and how that is said."""


def named(name: str, value: str, translated: Callable[[str], str]) -> tuple[str, str]:
    """A name and a value of an operation's record, as far as they are ours to word."""
    if name in {"stopped", "failed"}:
        found = ((pattern.fullmatch(value), text) for pattern, text in _ENDS)
        value = next((translated(text) % m.groupdict() for m, text in found if m), value)
    return translated(NAMES[name]) if name in NAMES else name, value


CHECKS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "good": ("✔", N_("good")),
        "bad": ("✖", N_("bad")),
        "unverified": ("?", N_("not verified")),
    }
)

UNITS: Final = (N_("d"), N_("h"), N_("min"), N_("s"))

REASONS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "malformed": (
            N_("cannot be read as an edit"),
            N_("Ask the publisher; a letter can be mended in the console."),
        ),
        "invalid": (
            N_("against a rule"),
            N_("Mend the named field, or ask the publisher to."),
        ),
        "unknown_app": (
            N_("its appId is no account's"),
            N_("Add the appId to its account's settings, then send it again."),
        ),
        "api_rejected": (
            N_("refused by the provider"),
            N_("Mend the edit, or what it refers to, then send it again."),
        ),
        "exhausted": (
            N_("every attempt was used up"),
            N_("Send it again later, one first."),
        ),
        "expired": (
            N_("its time to live ended in the queue"),
            N_("Ask the publisher whether it is still wanted."),
        ),
        "poison": (
            N_("it ended the worker three times"),
            N_("Do not send it again before the cause is known; report it as a bug."),
        ),
        "internal": (
            N_("a bug of the worker"),
            N_("Report it; after an upgrade send one again."),
        ),
    }
)
"""What a reason means, and what to do about a letter that has it; the runbook says the same."""

_SUSPENDING: Final[Mapping[str, str]] = MappingProxyType(
    {
        "-1": N_("Check key and secret, or rotate them."),
        "-3": N_("Top up. It resumes by itself within a minute."),
        "-4": N_("Set the clock of the worker's machine right."),
        "-5": N_("Wait; if it lasts, tell the provider."),
        "-46": N_("Wait; if it lasts, check the network to the provider."),
        "-6": N_("Have the address of the worker's machine allowed at the provider."),
        "-49": N_("Have the account verified at the provider."),
        "-50": N_("Ask the provider for the application's price."),
        "-57": N_("Look for a proxy that strips headers; if there is none, report a bug."),
        "-58": N_("Look for a proxy that strips headers; if there is none, report a bug."),
        "-59": N_("Look for a proxy that strips headers; if there is none, report a bug."),
        "http:401": N_("Check the credentials of the gateway or proxy."),
        "http:403": N_("Check the credentials of the gateway or proxy."),
        "http:407": N_("Check the credentials of the gateway or proxy."),
        "http:404": N_("Check TASKEDIT_API_URL."),
    }
)


def meaning(status: str | None) -> str:
    """What a status of the API means; empty for what is not documented."""
    return MEANINGS.get(status or "", "")


def remedy(status: str | None) -> str:
    """What to do about an account that a status suspends."""
    if status is None or status.startswith("http:5"):
        return N_("Wait for the provider; if it lasts, check the network to it.")
    if status.startswith("http:3"):
        return N_("Check TASKEDIT_API_URL.")
    return _SUSPENDING.get(status, N_("Ask the provider what the status means."))


FAILURES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "host": N_("This console is not called by that name: see TASKEDIT_CONSOLE_HOSTS."),
        "cross_site": N_("Nothing was done: that did not come from a page of this console."),
        "sign_in": N_("Sign in first."),
        "viewer": N_("Your role is viewer: only operators change anything."),
        "http_400": N_("That cannot be understood."),
        "http_404": N_("There is nothing here, or not any more."),
        "http_405": N_("That cannot be done here."),
        "http_413": N_("That is too large."),
        "unavailable": N_("RabbitMQ is away or refused it, so nothing was done: %(why)s"),
        "bug": N_("A bug of the console; its log says more."),
        "plan_expired": N_("Nothing was done: this plan is too old. Make it again."),
        "plan_unknown": N_("This plan is not known any more. If it was run, the Log has it."),
        "plan_not_ready": N_("Nothing was done: the plan is still being made."),
        "nothing_to_do": N_("There is nothing to do."),
        "busy": N_("Nothing was done, for somebody else is at the letters."),
        "paused_meanwhile": N_(
            "Nothing was done: %(by)s has paused it meanwhile. Look at its page first."
        ),
        "no_account": N_("There is no such account."),
        "no_operation": N_("There is no such operation."),
        "not_interrupted": N_("This operation was not interrupted."),
        "not_ours": N_(
            "That cannot be stopped here: it runs elsewhere, or is a discard, which ends by itself."
        ),
        "rest_unknown": N_(
            "Nothing was done: which letters it had is not recorded. Choose them anew."
        ),
        "gone": N_("This letter is not among the dead letters any more."),
        "invalid": N_("Nothing was done: %(field)s: %(problem)s"),
        "why_missing": N_("Say why: whoever wonders next week will read it."),
        "period": N_("Write how long as 30m, 2h or 3d."),
        "rate": N_("Write the rate as 5/s or 600/m."),
        "step": N_("Write the first step as a whole number, and the share as 0 to 100."),
    }
)
"""Why something was not done."""


def failure(kind: str, facts: Mapping[str, object], translated: Callable[[str], str]) -> str:
    """The sentence that says it."""
    text = translated(FAILURES.get(kind, FAILURES["http_400"]))
    return text % {"why": "", "field": "", "problem": "", **facts} if "%(" in text else text
