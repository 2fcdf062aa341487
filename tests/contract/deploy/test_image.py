"""The image's commands, run in an environment that is made as the image's is."""

from __future__ import annotations

import http.server
import json
import os
import re
import subprocess
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.kit import until
from tests.contract.deploy.image import Stage, stages

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCKERFILE = Path("ops/docker/Dockerfile")

pytestmark = pytest.mark.xdist_group("deploy")
"""One installation serves them all."""


@pytest.fixture(scope="module")
def stage() -> dict[str, Stage]:
    return stages(DOCKERFILE)


def run_in(installed: Path, command: list[str], **environment: str) -> subprocess.Popen[str]:
    """Start a command of the image; its PATH is the image's, as far as it is ours."""
    return subprocess.Popen(
        command,
        executable=installed / "bin" / command[0],
        env={"PATH": f"{installed}/bin:{os.environ['PATH']}"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def checked(installed: Path, command: list[str], address: str) -> int:
    """The exit code of a health check."""
    check = run_in(installed, command, TASKEDIT_OPS_ADDRESS=address)
    check.communicate(timeout=20)
    return check.returncode


def test_every_stage_stands_on_one_base_pinned_by_digest(stage: dict[str, Stage]) -> None:
    assert re.fullmatch(r"python:[\w.-]+@sha256:[0-9a-f]{64}", stage["python"].base)
    assert {one.base for name, one in stage.items() if name != "python"} <= set(stage)


@pytest.mark.parametrize("name", ["worker", "simulator"])
def test_nothing_runs_as_root(stage: dict[str, Stage], name: str) -> None:
    user = stage[name].said["USER"][-1]
    assert int(user.partition(":")[0]) > 0


def test_the_build_context_holds_no_more_than_the_image_needs(stage: dict[str, Stage]) -> None:
    lines = Path(".dockerignore").read_text().splitlines()
    assert lines[1] == "*", "everything is left out that is not named"
    allowed = {line[1:] for line in lines if line.startswith("!")}
    copied = (copy.split()[:-1] for one in stage.values() for copy in one.said.get("COPY", ()))
    sources = {source for sources in copied for source in sources if "--from" not in sources[0]}
    assert sources == allowed


def test_the_command_starts_a_worker_and_the_health_check_finds_it_alive(
    installed: Path, stage: dict[str, Stage], tmp_path: Path, port: int
) -> None:
    image = stage["worker"]
    address = f"127.0.0.1:{port}"
    settings = image.environment | {
        "TASKEDIT_OPS_ADDRESS": address,
        "TASKEDIT_STATE_DIR": str(tmp_path),
        "TASKEDIT_AMQP_URL": "amqp://127.0.0.1:1/%2F",
        "TASKEDIT_API_KEY": "key",
        "TASKEDIT_API_SECRET": "secret",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
    }
    health = image.last("HEALTHCHECK")
    worker = run_in(installed, [*image.last("ENTRYPOINT"), *image.last("CMD")], **settings)
    try:
        until(lambda: checked(installed, health, address) == 0)
        worker.terminate()
        said, _ = worker.communicate(timeout=20)
    finally:
        worker.kill()
    events = [json.loads(line)["event"] for line in said.splitlines()]
    assert "tracing_unavailable" in events, "the image is built without the extra"
    assert events[-1] == "ended"
    assert checked(installed, health, address) != 0, "nobody is there any more"


def test_the_health_check_fails_when_the_worker_says_that_it_is_stuck(
    installed: Path, stage: dict[str, Stage], stuck: int
) -> None:
    assert checked(installed, stage["worker"].last("HEALTHCHECK"), f"127.0.0.1:{stuck}") != 0


@pytest.fixture
def stuck() -> Iterator[int]:
    """A port where everything is answered by 503."""

    class Stuck(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(503)

        def log_message(self, *_: object) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Stuck) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_the_simulators_command_starts_it_and_its_health_check_finds_it(
    installed: Path, stage: dict[str, Stage], port: int
) -> None:
    image = stage["simulator"]
    command = [*image.last("ENTRYPOINT"), f"--port={port}"]
    check = [part.replace("8080", str(port)) for part in image.last("HEALTHCHECK")]
    simulator = run_in(installed, command, PYTHONPATH=str(Path.cwd()))
    try:
        until(lambda: checked(installed, check, "") == 0)
        simulator.terminate()
        assert simulator.wait(10) == 0
    finally:
        simulator.kill()
        simulator.communicate()
