"""What each section has found, kept as JSON under build/bench until it is measured again."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tests.bench.ground import BUILD

if TYPE_CHECKING:
    from collections.abc import Mapping


def save(section: str, found: Mapping[str, Any], machine: Mapping[str, Any]) -> None:
    """Keep what a section has found, and on what machine."""
    BUILD.mkdir(parents=True, exist_ok=True)
    kept = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine}
    path = BUILD / f"{section}.json"
    path.write_text(json.dumps({**kept, "found": found}, indent=1))


def saved(sections: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """What is kept of each section; those never measured are left out."""
    paths = {section: BUILD / f"{section}.json" for section in sections}
    return {
        section: json.loads(path.read_text()) for section, path in paths.items() if path.exists()
    }
