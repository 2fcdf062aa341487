"""Names that a run uses."""

from __future__ import annotations

NAMESPACE = "chaos"
ACCOUNT = "default"
