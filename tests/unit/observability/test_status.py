from __future__ import annotations

import json
from typing import TYPE_CHECKING, NoReturn

import pytest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from structlog.testing import capture_logs

from tests.unit.observability.builders import probes
from worker.observability.status import answer

if TYPE_CHECKING:
    from worker.observability.status import Probes


def asked(request: str, of: Probes | None = None) -> tuple[int, dict[str, str], str]:
    """Status, headers and body of the answer to a request's first line."""
    head, _, body = answer(f"{request}\r\n\r\n".encode(), of or probes()).partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return int(first.split()[1]), dict(line.split(": ", 1) for line in lines), body.decode()


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/livez?verbose=1"])
def test_all_is_well(path: str) -> None:
    status, headers, body = asked(f"GET {path} HTTP/1.1")

    assert (status, body) == (200, "ok\n")
    assert headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(("path", "why"), [("/livez", "stuck – 11 s"), ("/readyz", "draining")])
def test_what_is_wrong_is_in_the_body(path: str, why: str) -> None:
    troubled = probes(live=lambda: "stuck – 11 s", ready=lambda: "draining")

    assert asked(f"GET {path} HTTP/1.1", troubled)[::2] == (503, f"{why}\n")


def test_lanes_are_json() -> None:
    lanes = {"acme": {"state": "suspended", "why": "余额不足", "until": None}}

    status, headers, body = asked("GET /lanes HTTP/1.1", probes(lanes=lambda: lanes))

    assert status == 200
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body) == lanes


def test_metrics_are_prometheus_text() -> None:
    status, headers, body = asked("GET /metrics HTTP/1.0", probes(metrics=lambda: b"x 1\n"))

    assert (status, body) == (200, "x 1\n")
    assert headers["Content-Type"] == CONTENT_TYPE_PLAIN_0_0_4


def test_another_path_is_told_which_there_are() -> None:
    status, _, body = asked("GET / HTTP/1.1")

    assert (status, body) == (404, "/livez\n/readyz\n/lanes\n/metrics\n")


def test_head_has_no_body() -> None:
    status, headers, body = asked("HEAD /livez HTTP/1.1")

    assert (status, headers["Content-Length"], body) == (200, "3", "")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "BREW"])
def test_nothing_can_be_changed(method: str) -> None:
    status, headers, _ = asked(f"{method} /livez HTTP/1.1")

    assert (status, headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "request_line",
    [
        "",
        "GET",
        "GET /livez",
        "GET  /livez HTTP/1.1",
        "GET /liv\x00ez HTTP/1.1",
        "\x16\x03\x01\x02",
    ],
)
def test_garbage_is_a_bad_request(request_line: str) -> None:
    assert asked(request_line)[0] == 400


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/lanes", "/metrics"])
def test_a_probe_that_fails_is_an_answer_and_a_log_line(path: str) -> None:
    def fail() -> NoReturn:
        raise RuntimeError("hidden")

    broken = probes(live=fail, ready=fail, lanes=fail, metrics=fail)
    with capture_logs() as lines:
        status, _, body = asked(f"GET {path} HTTP/1.1", broken)

    assert (status, body) == (500, "the probe itself failed\n")
    assert [line["event"] for line in lines] == ["probe_failed"]


def test_a_worker_that_is_ready_says_what_to_know_all_the_same() -> None:
    noted = probes(notes=lambda: ("the state folder is full",))

    assert asked("GET /readyz HTTP/1.1", noted)[::2] == (
        200,
        "ok\nnote: the state folder is full\n",
    )
