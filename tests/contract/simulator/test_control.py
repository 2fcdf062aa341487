from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme

from ops.simulator.control import Remote, Simulator
from tests.contract.simulator.caller import (
    DEADLINE,
    call,
    connection,
    dial,
    heard,
    on,
    request,
    signed,
    until,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_simulator_on_the_command_line_serves_and_ends_with_zero(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "ops.simulator", "--port", "0", "--rate", "2/h"]
    accounts = ["--account", "a:secret-a:app-1,app-2", "--account", "b:secret-b"]
    with running([*command, *accounts]) as child:
        assert child.stdout is not None
        told = json.loads(child.stdout.readline())
        url = told["url"]
        assert url.endswith("/aivoice")
        assert told["control"].endswith("/_simulator/")
        got = [call(url, headers=signed(key, f"secret-{key}")).code for key in "aaab"]
        assert got == [200, 200, 429, 200]
        remote = Remote(url)
        assert sorted(remote.summary()) == ["a", "b"]
        remote.close()
        with dial(url) as line:  # an open connection does not hold the end up
            child.send_signal(number)
            assert child.wait(DEADLINE) == 0
            assert heard(line) == b""


@contextmanager
def running(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A child that does not outlive its test, whatever comes of that."""
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as child:
        try:
            yield child
        finally:
            child.kill()


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--rate", "fast"], 2, "--rate"),
        (["--account", "key-alone"], 2, "write KEY:SECRET"),
        (["--latency", "soon"], 2, "--latency"),
        (["--cert", "/nowhere.pem", "--port", "0"], 1, "nowhere.pem"),
    ],
)
def test_bad_options_are_named(options: list[str], code: int, said: str) -> None:
    command = [sys.executable, "-m", "ops.simulator", *options]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == code
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "ops.simulator", "--port", str(port)]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert f"127.0.0.1:{port}" in ended.stderr


def test_a_simulator_ends_with_whoever_started_it() -> None:
    program = (
        "import os; from ops.simulator.control import Simulator; s = Simulator(); s.start();"
        "print(s.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, stdout=-1, check=False)
    pid = int(ended.stdout)
    try:
        until(lambda: not is_simulator(pid))
    finally:
        if is_simulator(pid):
            os.kill(pid, signal.SIGKILL)


def is_simulator(pid: int) -> bool:
    try:
        return b"ops.simulator" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def test_a_simulator_that_cannot_start_says_so() -> None:
    with pytest.raises(RuntimeError, match="ended at its start with 2"):
        Simulator("--rate", "fast").start()


def test_options_and_latency_of_the_command_line_hold() -> None:
    with Simulator("--latency", "30ms", "--jitter", "1ms", "--clock-offset", "-3600") as simulator:
        assert call(simulator.url).status == "-4"
        (seen,) = simulator.calls()
        assert (seen.ended or 0) - seen.arrived >= 0.029


def test_a_restart_keeps_the_port_the_accounts_and_the_settings() -> None:
    with Simulator() as simulator:
        url = simulator.url
        simulator.account("key", "secret", rate="1/h")
        simulator.settings(numeric_status=True)
        simulator.settings(timestamp_window=30)
        assert call(url, headers=signed("key", "secret")).status == 0
        assert simulator.kill() == -signal.SIGKILL
        with pytest.raises(ConnectionRefusedError):
            dial(url)
        simulator.restart()
        assert simulator.url == url
        assert simulator.calls() == []
        assert call(url, headers=signed("key", "secret")).status == 0
        assert "seconds=30" in simulator.status()["settings"]
        assert simulator.stop() == 0


def test_a_frozen_simulator_answers_when_it_is_thawed() -> None:
    with Simulator() as simulator, dial(simulator.url) as line:
        simulator.freeze()
        line.sendall(request())
        line.settimeout(0.1)
        with pytest.raises(TimeoutError):
            line.recv(1)
        line.settimeout(DEADLINE)
        simulator.thaw()
        assert b'"status": "0"' in heard(line, lambda got: got.endswith(b"}"))
        simulator.freeze()
        assert simulator.stop() == 0


def test_connections_are_refused_for_a_time(simulator: Simulator) -> None:
    with connection(simulator.url) as line:
        on(line)
        simulator.refuse(60)
        with pytest.raises(ConnectionError):
            on(line)
    with pytest.raises(ConnectionRefusedError):
        dial(simulator.url)
    simulator.refuse(0.1)
    until(lambda: is_open(simulator.url))
    assert call(simulator.url).status == "0"


def is_open(url: str) -> bool:
    try:
        dial(url).close()
    except ConnectionRefusedError:
        return False
    return True


def test_a_kept_control_connection_that_died_is_replaced() -> None:
    with Simulator() as simulator:
        remote = Remote(simulator.url)
        assert remote.status()["calls"] == 0
        simulator.restart()
        assert remote.status()["calls"] == 0
        remote.close()


def test_tls_is_served_with_the_certificate_given(tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued.cert_chain_pems[0].write_to_path(cert)
    issued.private_key_pem.write_to_path(key)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with Simulator("--cert", str(cert), "--key", str(key)) as simulator:
        assert simulator.url.startswith("https://")
        with dial(simulator.url) as bare:
            line = context.wrap_socket(
                bare, server_hostname="localhost", suppress_ragged_eofs=False
            )
            line.sendall(request())
            assert b'"status": "0"' in heard(line, lambda got: got.endswith(b"}"))
            simulator.fault("drop_after_reading", reset=True)
            line.sendall(request())
            with pytest.raises((ssl.SSLEOFError, ConnectionResetError)):
                heard(line)
            line.close()
        assert len(simulator.calls()) == 2
        with dial(simulator.url) as bare, pytest.raises(ssl.SSLCertVerificationError):
            context.wrap_socket(bare, server_hostname="elsewhere.example")
