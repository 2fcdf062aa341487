"""The reference names every field of `/lanes` and every metric, in the words of the worker."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families as families

from tests.unit.observability.builders import lane, reading
from tests.unit.observability.test_metrics import NAMES
from worker.observability.metrics import Metrics
from worker.observability.status import lane_report

REFERENCE = (Path(__file__).parents[3] / "ops/docs/reference.md").read_text()
LANES, METRICS = REFERENCE.split("## `/metrics`")


def test_every_field_of_a_lane_is_told() -> None:
    rows = re.findall(r"^\| (`.+?) \|", LANES, re.MULTILINE)
    told = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(told) == sorted(lane_report(lane(), now=0.0, wall=datetime.now(UTC)))


def test_every_metric_is_told_with_its_labels() -> None:
    of = reading(left_over={"old": 1})
    text = Metrics(lambda: [lane()], lambda: of).render().decode()
    rows = [
        "| `{}` | {} | {} | {} |".format(
            name, each.type, ", ".join(sorted(_labels(name))), each.documentation
        )
        for each in families(text)
        for name in [f"{each.name}_total" if each.type == "counter" else each.name]
        if name.startswith("taskedit_")
    ]
    assert sorted(re.findall(r"^\| `taskedit_.*$", METRICS, re.MULTILINE)) == sorted(rows)


def _labels(name: str) -> set[str]:
    return NAMES[name] if name in NAMES else NAMES[f"{name}_bucket"] - {"le"}
