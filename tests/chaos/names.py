"""Names that a run uses."""

from __future__ import annotations

from tests.acceptance.kit import KEY

NAMESPACE = "chaos"
APP, ROAMING, RENAMED = "acme-app", "roaming-app", "renamed-app"
"""Applications: of one account, now of this and now of that, of one whose name changes."""
MAIN, SIDE = "main", "side"
"""The account that faults are about, and the one that an app of its now and then goes to."""
FORMER = ("zeta", "zeta-2")
"""The names that the third account has in turn."""
SIDE_KEY, RENAMED_KEY = "key-of-side", "key-of-zeta"
KEYS = {MAIN: KEY, SIDE: SIDE_KEY, **dict.fromkeys(FORMER, RENAMED_KEY)}
LANE = f"{NAMESPACE}.lane.{MAIN}"
STRAYS = f"{NAMESPACE}.strays"
DEAD = f"{NAMESPACE}.dead"
JOURNAL = f"{NAMESPACE}.journal"
EVENTS = f"{NAMESPACE}.events"
FLEET = f"{NAMESPACE}.fleet"
WITNESS = f"{NAMESPACE}.witness"
