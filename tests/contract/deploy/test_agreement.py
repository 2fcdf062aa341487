"""What is deployed speaks of settings, paths and files that there are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops import prometheus_rule
from ops.prometheus_rule import ALERTS, RULE
from worker.observability.status import PATHS
from worker.settings.load import NAMES

KUBERNETES = Path("ops/kubernetes")
CORE_PANELS = {
    *("alertlist", "barchart", "bargauge", "gauge", "heatmap", "histogram", "logs", "piechart"),
    *("row", "stat", "state-timeline", "status-history", "table", "text", "timeseries"),
}
"""Of Grafana itself, so that no plugin has to be installed."""
COMPOSES_OWN = {"TASKEDIT_CONFIG", "TASKEDIT_OPS_PORT", "TASKEDIT_CONSOLE_PORT"}
SPEAK_OF_SETTINGS = [
    Path("docker-compose.yml"),
    Path("ops/docker/Dockerfile"),
    Path("ops/runbook.md"),
    Path("SECURITY.md"),
    *sorted(Path("ops/systemd").iterdir()),
    *sorted(KUBERNETES.rglob("*.yaml")),
    *sorted(Path("ops/broker").iterdir()),
]


def manifest(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((KUBERNETES / name).read_text())
    return found


@pytest.mark.parametrize("path", SPEAK_OF_SETTINGS, ids=str)
def test_every_setting_that_is_named_exists(path: Path) -> None:
    named = set(re.findall(r"\bTASKEDIT_[A-Z_]*[A-Z]\b", path.read_text())) - COMPOSES_OWN
    assert {name.removeprefix("TASKEDIT_").lower() for name in named} <= NAMES


@pytest.mark.parametrize("folder", [".", "console"])
def test_kustomize_knows_every_manifest(folder: str) -> None:
    files = {path.name for path in (KUBERNETES / folder).glob("*.yaml")} - {"kustomization.yaml"}
    assert set(manifest(f"{folder}/kustomization.yaml")["resources"]) == files


def test_the_component_for_the_operator_has_the_alerts_and_finds_the_workers_pods() -> None:
    folder = KUBERNETES / "monitoring"
    assert set(manifest("monitoring/kustomization.yaml")["resources"]) == {
        path.name for path in folder.glob("*.yaml")
    } - {"kustomization.yaml"}
    rule = manifest("monitoring/prometheus-rule.yaml")
    assert RULE.read_text() == prometheus_rule.manifest(ALERTS.read_text()), "make manifests"
    assert rule["spec"] == yaml.safe_load(ALERTS.read_text())
    monitor = manifest("monitoring/pod-monitor.yaml")["spec"]
    pod = manifest("deployment.yaml")["spec"]["template"]
    assert monitor["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    [endpoint] = monitor["podMetricsEndpoints"]
    ports = [port["name"] for port in pod["spec"]["containers"][0]["ports"]]
    assert endpoint["port"] in ports
    assert endpoint["path"] in PATHS


def test_the_probes_ask_what_is_answered_and_the_end_is_waited_for() -> None:
    pod = manifest("deployment.yaml")["spec"]["template"]["spec"]
    container = pod["containers"][0]
    probes = [container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("liveness", "readiness")]
    assert probes == ["/livez", "/readyz"]
    assert set(probes) <= set(PATHS)
    assert pod["terminationGracePeriodSeconds"] > 45
    assert "livenessProbe" in container
    assert container["securityContext"]["readOnlyRootFilesystem"]


def test_everything_in_compose_is_without_privileges_and_cannot_write() -> None:
    services = yaml.safe_load(Path("docker-compose.yml").read_text())["services"]
    assert {name for name, one in services.items() if "demo" in one.get("profiles", ())} == {
        "rabbitmq",
        "simulator",
    }
    for name, service in services.items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert int(service["user"].partition(":")[0]) > 0, name
        assert all(port.startswith("127.0.0.1:") for port in service["ports"]), name


@pytest.mark.parametrize("name", ["fleet", "account"])
def test_a_dashboard_asks_the_provisioned_source_in_every_panel(name: str) -> None:
    sources = yaml.safe_load(
        Path("ops/grafana/provisioning/datasources/prometheus.yml").read_text()
    )
    uid = sources["datasources"][0]["uid"]
    board = json.loads(Path(f"ops/grafana/dashboards/{name}.json").read_text())
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    assert len(panels) > 10
    assert {panel["datasource"]["uid"] for panel in panels} == {uid}
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


@pytest.mark.parametrize("path", sorted(Path("ops/grafana/dashboards").glob("*.json")), ids=str)
def test_every_panel_is_of_a_type_that_grafana_ships(path: Path) -> None:
    panels = json.loads(path.read_text())["panels"]
    panels += [inner for row in panels for inner in row.get("panels", ())]
    assert panels
    assert {panel["type"] for panel in panels} <= CORE_PANELS
