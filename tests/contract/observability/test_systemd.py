from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from worker.observability.systemd import SystemdNotifier

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["path", "abstract"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A `NOTIFY_SOCKET` of either kind."""
    name = f"taskedit-{tmp_path.name}-{tmp_path.stat().st_ino}"
    return str(tmp_path / "notify") if request.param == "path" else f"@{name}"


@pytest.fixture
def systemd(address: str) -> Iterator[socket.socket]:
    """What systemd listens on."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(address.replace("@", "\0", 1))
        listening.settimeout(20)
        yield listening


def test_systemd_hears_of_the_whole_life(systemd: socket.socket, address: str) -> None:
    with SystemdNotifier(address) as notifier:
        notifier.ready("2 lanes")
        assert systemd.recv(4096) == b"READY=1\nSTATUS=2 lanes"
        notifier.status("acme suspended\nby -3")
        assert systemd.recv(4096) == b"STATUS=acme suspended by -3"
        notifier.alive()
        assert systemd.recv(4096) == b"WATCHDOG=1"
        notifier.stopping("draining")
        assert systemd.recv(4096) == b"STOPPING=1\nSTATUS=draining"


def test_without_systemd_nothing_happens() -> None:
    with capture_logs() as lines, SystemdNotifier(None) as notifier:
        notifier.ready("fine")
        notifier.alive()

    assert lines == []


def test_a_systemd_that_is_gone_is_one_log_line(tmp_path: Path) -> None:
    with capture_logs() as lines, SystemdNotifier(str(tmp_path / "gone")) as notifier:
        for _ in range(3):
            notifier.alive()

    assert [(line["event"], line["why"]) for line in lines] == [
        ("systemd_not_told", "No such file or directory")
    ]


def test_a_systemd_that_does_not_read_is_not_waited_for(
    systemd: socket.socket, address: str
) -> None:
    with capture_logs() as lines, SystemdNotifier(address) as notifier:
        while not lines:
            notifier.alive()

    assert lines[0]["event"] == "systemd_not_told"


def test_once_closed_it_tells_nothing(systemd: socket.socket, address: str) -> None:
    notifier = SystemdNotifier(address)
    notifier.close()
    notifier.alive()

    systemd.settimeout(0)
    with pytest.raises(BlockingIOError):
        systemd.recv(4096)
