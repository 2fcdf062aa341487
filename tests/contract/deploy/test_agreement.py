"""What is deployed speaks of settings, paths and files that there are."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins

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
OPERATORS_SCHEMAS = json.loads(Path(__file__).with_name("monitoring.coreos.com.json").read_text())
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


def closed(schema: object) -> object:
    """The schema of a resource, in which a field that it does not know is an error."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    shut = {} if "properties" not in schema else {"additionalProperties": False}
    return shut | {name: closed(value) for name, value in schema.items()}


def problems(resource: dict[str, Any]) -> list[str]:
    """What the Prometheus operator's published schema has against a resource."""
    schema = closed(OPERATORS_SCHEMAS[resource["kind"]])
    assert isinstance(schema, dict)
    validator = jsonschema.Draft202012Validator(schema)
    return [error.message for error in validator.iter_errors(resource)]


@pytest.mark.parametrize("name", ["pod-monitor", "prometheus-rule"])
def test_what_the_prometheus_operator_gets_is_of_its_published_schema(name: str) -> None:
    assert problems(manifest(f"monitoring/{name}.yaml")) == []


def test_a_field_that_the_prometheus_operator_does_not_know_is_found() -> None:
    monitor = manifest("monitoring/pod-monitor.yaml")
    monitor["spec"]["podMetricsEndpoints"][0]["intervall"] = "15s"
    assert len(problems(monitor)) == 1
    rule = manifest("monitoring/prometheus-rule.yaml")
    rule["spec"]["groups"][0]["rules"][0]["for"] = "five minutes"
    assert len(problems(rule)) == 1


def test_the_probes_ask_what_is_answered_and_the_end_is_waited_for() -> None:
    pod = manifest("deployment.yaml")["spec"]["template"]["spec"]
    container = pod["containers"][0]
    probes = [container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("liveness", "readiness")]
    assert probes == ["/livez", "/readyz"]
    assert set(probes) <= set(PATHS)
    assert pod["terminationGracePeriodSeconds"] > 45
    assert "livenessProbe" in container


@pytest.mark.parametrize("name", ["deployment.yaml", "console/deployment.yaml"])
def test_every_pod_is_without_privileges_and_cannot_write(name: str) -> None:
    pod = manifest(name)["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


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


@pytest.mark.parametrize("path", sorted(Path("ops/grafana/dashboards").glob("*.json")), ids=str)
def test_grafanas_own_models_read_and_write_a_dashboard_without_loss(path: Path) -> None:
    with warnings.catch_warnings():  # its other models are of a form that files are not in yet
        warnings.simplefilter("ignore", DeprecationWarning)
        from grafana_foundation_sdk.models.dashboard import Dashboard  # noqa: PLC0415
    register_default_plugins()
    board = json.loads(path.read_text())
    again = json.loads(json.dumps(Dashboard.from_json(board), cls=JSONEncoder))
    assert lost(board, again) == []


def lost(before: object, after: object, at: str = "") -> list[str]:
    """Where what was there before is not there, or is something else."""
    match before, after:
        case dict(), dict():
            missing = [f"{at}.{name}" for name in before.keys() - after.keys()]
            common = before.keys() & after.keys()
            return missing + [
                each for name in common for each in lost(before[name], after[name], f"{at}.{name}")
            ]
        case list(), list() if len(before) == len(after):
            return [
                each
                for place, (one, other) in enumerate(zip(before, after, strict=True))
                for each in lost(one, other, f"{at}[{place}]")
            ]
        case _:
            return [] if before == after else [at]
