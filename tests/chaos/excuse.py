"""What of the order nobody can help: calls begun before their replica was ended or cut off."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.chaos.evidence import Contact, Strike

AFTERWARDS = 2.0
"""Seconds after a fault in which a call that it held back may still come out."""
CLOCKS = 0.002
"""Seconds by which moments noted by two processes may differ: events have milliseconds."""


def late(strikes: Iterable[Strike], contact: Contact) -> Strike | None:
    """The fault that held this call back until its end, when another replica had its lane."""
    arrived = contact.call.arrived
    for strike in strikes:
        cut = strike.cut
        if cut is None or contact.replica not in cut.replicas:
            continue
        came_out = strike.mended - CLOCKS <= arrived <= strike.mended + AFTERWARDS
        if cut.holds_back and came_out:
            return strike
    return None


def parted(strikes: Iterable[Strike], earlier: Contact, later: Contact) -> Strike | None:
    """The fault that struck the earlier call's replica between the two calls.

    One that lost only the broker knows what it has under way itself.
    """
    since, until = earlier.call.arrived, later.call.arrived
    for strike in strikes:
        cut = strike.cut
        if cut is None or earlier.replica not in cut.replicas:
            continue
        knows = cut.link == "broker" and earlier.replica == later.replica
        before = since <= strike.struck + cut.blind + CLOCKS
        if not knows and before and strike.begun <= until:
            return strike
    return None
