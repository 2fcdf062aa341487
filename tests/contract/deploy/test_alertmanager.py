"""The example for Alertmanager, started for real: a page goes out at once, in our words."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
import requests
import yaml

from ops.rabbitmq.ports import free_port
from tests.acceptance.kit import until
from tests.conftest import CI

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLE = Path("ops/prometheus/alertmanager.yml")
PROGRAM = "prometheus-alertmanager"


def alerts() -> dict[str, dict[str, Any]]:
    groups = yaml.safe_load(Path("ops/prometheus/alerts.yml").read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}


def test_the_example_names_alerts_that_exist_and_severities_that_are_used() -> None:
    text = EXAMPLE.read_text()
    assert set(re.findall(r"Taskedit\w+", text)) <= set(alerts())
    severities = {rule["labels"]["severity"] for rule in alerts().values()}
    assert set(re.findall(r'severity="(\w+)"', text)) <= severities


@contextmanager
def pager() -> Iterator[tuple[int, list[tuple[str, dict[str, Any]]]]]:
    """A port, and what comes there: path and JSON."""
    got: list[tuple[str, dict[str, Any]]] = []

    class Pager(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            got.append((self.path, json.loads(self.rfile.read(length))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Pager)
    Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port, got
    server.shutdown()
    server.server_close()


@pytest.mark.slow
def test_a_page_reaches_its_webhook_and_holds_back_what_follows_from_it(tmp_path: Path) -> None:
    program = shutil.which(PROGRAM)
    if program is None:
        (pytest.fail if CI else pytest.skip)(f"{PROGRAM} is absent: make verify installs it")
    rule = alerts()["TaskeditAccountSuspended"]
    labels = {"account": "acme", **rule["labels"]}
    fired = {"labels": {"alertname": rule["alert"], **labels}, "annotations": rule["annotations"]}
    late = {"labels": {"alertname": "TaskeditEditsAgeing", **labels}, "annotations": {}}
    port = free_port()
    with pager() as (webhook, got):
        config = EXAMPLE.read_text().replace("pager.example:9095", f"127.0.0.1:{webhook}")
        (tmp_path / "alertmanager.yml").write_text(config)
        command = (
            program,
            f"--config.file={tmp_path}/alertmanager.yml",
            f"--storage.path={tmp_path}/data",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
        )
        with (tmp_path / "log").open("wb") as log:
            running = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            until(lambda: _sent(port, [fired, late]), what=(tmp_path / "log").read_text())
            until(lambda: got, 30, "nobody was paged")
        finally:
            running.terminate()
            running.wait()
    [(path, message)] = got
    assert path == "/page"
    [alert] = message["alerts"]
    assert alert["labels"] == fired["labels"], "what follows from a page is no page"
    assert set(alert["annotations"]) >= {"summary", "cause", "consequence", "runbook_url"}


def _sent(port: int, alerts: list[dict[str, Any]]) -> bool:
    try:
        where = f"http://127.0.0.1:{port}/api/v2/alerts"
        return requests.post(where, json=alerts, timeout=5).ok
    except requests.ConnectionError:
        return False
