"""A real Prometheus with the rules as they are shipped, in a hurry."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any, Self

import requests

from ops.rabbitmq.ports import free_port
from tests.acceptance.kit import until

if TYPE_CHECKING:
    from collections.abc import Mapping

RULES = Path("ops/prometheus/alerts.yml")
EVERY = "500ms"
_DURATION = re.compile(r"(?<![\w.])(\d+)m\b")
_MINUTES_IN_SECONDS = re.compile(r"(\d+) \* 60\b")


def hurried(rules: str, factor: int) -> str:
    """The same rules, with every duration and every age in them divided by `factor`."""
    shorter = _DURATION.sub(lambda found: f"{int(found[1]) * 60_000 // factor}ms", rules)
    return _MINUTES_IN_SECONDS.sub(lambda found: f"{int(found[1]) * 60 / factor}", shorter)


@dataclass
class Prometheus:
    """Scrapes `targets` (job to address and path) and evaluates the rules, twice a second."""

    folder: Path
    targets: Mapping[str, tuple[int, str]]
    factor: int
    runbook: str
    """Where the alerts' runbook is."""
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    _since: float = 0.0

    def __enter__(self) -> Self:
        self._write()
        program = shutil.which("prometheus")
        assert program is not None, "make check-ops installs it"
        with (self.folder / "prometheus.log").open("wb") as log:
            self.process = subprocess.Popen(
                (
                    program,
                    "--config.file=prometheus.yml",
                    "--storage.tsdb.path=data",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                ),
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )
        until(self._is_ready, 30, f"Prometheus is not ready; see {self.folder}")
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """What an expression gives now: labels as ``metric``, time and value as ``value``."""
        answer = self._asked("/api/v1/query", query=expression)
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def number(self, expression: str) -> float | None:
        """The value of an expression that gives one; None while it gives none."""
        found = self.query(expression)
        return float(found[0]["value"][1]) if found else None

    def firing(self) -> set[str]:
        """The names of the alerts that fire now."""
        return self._names('ALERTS{alertstate="firing"}')

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts that fire now, with labels and annotations."""
        alerts = self._asked("/api/v1/alerts")["data"]["alerts"]
        return [one for one in alerts if one["state"] == "firing"]

    def watch(self) -> None:
        """Begin: the first scrapes are in, and what they answer (who is there?) is settled."""
        until(lambda: self.scrapes("taskedit") > 1 and not self.firing())
        self._since = time()

    def fired(self) -> set[str]:
        """The names of all alerts that have fired since `watch`."""
        since = max(1, int((time() - self._since) * 1000))
        return self._names(f'max_over_time(ALERTS{{alertstate="firing"}}[{since}ms])')

    def scrapes(self, job: str) -> int:
        """How often a job has been scraped with success."""
        return int(self.number(f'sum(sum_over_time(up{{job="{job}"}}[1h]))') or 0)

    def _names(self, expression: str) -> set[str]:
        return {one["metric"]["alertname"] for one in self.query(expression)}

    def _write(self) -> None:
        (self.folder / "rules.yml").write_text(hurried(RULES.read_text(), self.factor))
        jobs = [
            {
                "job_name": name,
                "metrics_path": path.partition("?")[0],
                "params": {
                    key: [value]
                    for key, _, value in (
                        pair.partition("=") for pair in path.partition("?")[2].split("&") if pair
                    )
                },
                "static_configs": [{"targets": [f"127.0.0.1:{port}"]}],
            }
            for name, (port, path) in self.targets.items()
        ]
        settings = {
            "global": {"scrape_interval": EVERY, "scrape_timeout": EVERY}
            | {"evaluation_interval": EVERY, "external_labels": {"taskedit_runbook": self.runbook}},
            "rule_files": ["rules.yml"],
            "scrape_configs": jobs,
        }
        (self.folder / "prometheus.yml").write_text(json.dumps(settings))  # JSON is YAML

    def _is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "prometheus.log").read_text()
        try:
            reply = requests.get(f"http://127.0.0.1:{self.port}/-/ready", timeout=2)
        except requests.RequestException:
            return False
        return reply.ok

    def _asked(self, path: str, **parameters: str) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self.port}{path}"
        reply = requests.get(url, params=parameters, timeout=10)
        answer: dict[str, Any] = reply.json()
        assert answer["status"] == "success", f"{parameters}: {answer}"
        return answer
