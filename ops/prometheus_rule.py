"""The alerts as the Prometheus operator takes them: `python -m ops.prometheus_rule`.

Writes ops/kubernetes/monitoring/prometheus-rule.yaml from ops/prometheus/alerts.yml.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

ALERTS: Final = Path("ops/prometheus/alerts.yml")
RULE: Final = Path("ops/kubernetes/monitoring/prometheus-rule.yaml")
_HEAD: Final = """\
# Made from ops/prometheus/alerts.yml by `make manifests`.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: task-edit-worker
  labels: {app.kubernetes.io/name: task-edit-worker}
spec:
"""


def manifest(alerts: str) -> str:
    """The manifest around the alerts' own text, comments and all."""
    body = "".join(f"  {line}".rstrip() + "\n" for line in alerts.splitlines())
    return _HEAD + body


def main() -> None:
    """Write the manifest."""
    RULE.write_text(manifest(ALERTS.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
