"""Names that a run uses."""

from __future__ import annotations

NAMESPACE = "chaos"
ACCOUNT = "default"
LANE = f"{NAMESPACE}.lane.{ACCOUNT}"
STRAYS = f"{NAMESPACE}.strays"
DEAD = f"{NAMESPACE}.dead"
JOURNAL = f"{NAMESPACE}.journal"
EVENTS = f"{NAMESPACE}.events"
FLEET = f"{NAMESPACE}.fleet"
WITNESS = f"{NAMESPACE}.witness"
