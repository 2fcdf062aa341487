"""A private RabbitMQ node."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pika
import pika.exceptions

from ops.rabbitmq import chroot, install
from ops.rabbitmq.guard import Guarded
from ops.rabbitmq.portmapper import PortMapper, reachable
from ops.rabbitmq.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

_START = timedelta(seconds=90)
_STOP = timedelta(seconds=30)
_CTL = timedelta(seconds=60)
_POLL = timedelta(milliseconds=50)
_MANAGEMENT = "rabbitmq_management"

# A guest on a small machine: two schedulers that sleep when idle instead of spinning, and
# nothing heard beyond loopback.
_ERLANG = (
    "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}"
)
_CONFIG = """\
listeners.tcp.1 = 127.0.0.1:{port}
log.file.level = info
vm_memory_high_watermark.absolute = 1GB
disk_free_limit.absolute = 50MB
raft.wal_max_size_bytes = 64000000
"""
_MANAGEMENT_CONFIG = """\
management.tcp.ip = 127.0.0.1
management.tcp.port = {port}
"""


class NodeError(Exception):
    """A node did not start, or a command for it failed; the message holds the log's end."""


class Node:
    """A RabbitMQ node of one's own, as a context manager.

    Ports, name and data stay the same over stop, kill and start, so clients find it again.
    Everything it writes is under `folder`, which must exist and be new. `config` is
    rabbitmq.conf (it wins over the node's own lines), `root` the folder of another Debian to
    run in (see `chroot`). Nodes that are to meet share a `mapper` and a `cookie`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        name: str = "rabbit",
        config: str = "",
        plugins: Sequence[str] = (),
        root: Path | None = None,
        mapper: PortMapper | None = None,
        cookie: str = "private",
    ) -> None:
        installation = install.found(root or Path("/"))
        if installation is None:
            raise install.AbsentError(f"there is no RabbitMQ under {root or '/'}")
        self._installation = installation
        self._folder = folder.resolve()
        self._root = root
        self._own_mapper = mapper is None
        self._mapper = mapper or PortMapper(self._folder, root=root)
        self._running: Guarded | None = None
        self.name = f"{name}@localhost"
        self.port = free_port()
        self._management_port = free_port() if _MANAGEMENT in plugins else None
        self._environment = self._surroundings()
        self._lay_out(config, plugins, cookie)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def version(self) -> str:
        """Such as 3.10.8."""
        return self._installation.version

    @property
    def amqp_url(self) -> str:
        """With the user guest, for the virtual host /."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/%2F"

    @property
    def management_url(self) -> str:
        """With the user guest; only with the plugin rabbitmq_management."""
        if self._management_port is None:
            raise NodeError(f"{self.name} runs without the plugin {_MANAGEMENT}")
        return f"http://guest:guest@127.0.0.1:{self._management_port}"

    @property
    def pid(self) -> int | None:
        """The process id of its Erlang machine; None when it does not run."""
        return None if self._running is None else self._running.pid

    def start(self, within: timedelta = _START) -> None:
        """Start it, unless it runs; returns once a client can log in. Or NodeError."""
        if self._running is not None and self._running.status is None:
            return
        self._mapper.start()
        try:
            with self._console.open("ab") as output:
                self._running = Guarded.started(
                    self._command("rabbitmq-server"),
                    environment=self._environment,
                    folder=self._folder,
                    output=output,
                )
            self._await_login(within)
        except BaseException:
            self.close()
            raise

    def stop(self) -> None:
        """End it in order; by SIGKILL after half a minute."""
        if self._running is not None:
            self.thaw()
            self._running.signal(signal.SIGTERM)
            if not self._running.ended(_STOP):
                self._running.kill()
            self._running = None

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        if self._running is not None:
            self._running.kill()
            self._running = None

    def close(self) -> None:
        """End all of it at once; an orderly stop can take seconds that nobody needs."""
        self.kill()
        if self._own_mapper:
            self._mapper.stop()

    def restart(self) -> None:
        """Stop it in order and start it again."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """Let it stand still, its connections open, until `thaw`."""
        if self._running is not None:
            self._running.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on after `freeze`."""
        if self._running is not None:
            self._running.signal(signal.SIGCONT)

    def ctl(self, *arguments: str, within: timedelta = _CTL) -> str:
        """What `rabbitmqctl` prints, for arguments such as "list_queues" and "name"."""
        try:
            done = subprocess.run(
                self._command("rabbitmqctl", "--quiet", "--node", self.name, *arguments),
                env=self._environment,
                cwd=self._folder,
                check=False,
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
                timeout=within.total_seconds(),
            )
        except subprocess.TimeoutExpired as late:
            raise NodeError(f"rabbitmqctl {' '.join(arguments)}: no answer in {within}") from late
        if done.returncode:
            said = (done.stdout + done.stderr).strip()
            raise NodeError(f"rabbitmqctl {' '.join(arguments)}: {said}")
        return done.stdout

    def log(self) -> str:
        """All that it has logged so far."""
        path = self._folder / "log" / "rabbit.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    @property
    def _console(self) -> Path:
        return self._folder / "log" / "console.log"

    @property
    def _inner(self) -> Path:
        """Its folder as the node itself sees it."""
        return self._folder if self._root is None else chroot.INNER

    def _command(self, program: str, *arguments: str) -> list[str]:
        command = [self._installation.program(program), *arguments]
        if self._root is None:
            return command
        return chroot.entered(self._root, self._folder, command)

    def _surroundings(self) -> dict[str, str]:
        """The environment of the node and of its tools; nothing of /etc/rabbitmq is read."""
        inner = self._inner
        return {
            "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            "HOME": str(inner / "home"),
            "ERL_EPMD_PORT": str(self._mapper.port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_CONF_ENV_FILE": str(inner / "environment.conf"),
            "RABBITMQ_CONFIG_FILE": str(inner / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(inner / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(inner / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(inner / "data"),
            "RABBITMQ_LOG_BASE": str(inner / "log"),
            "RABBITMQ_LOGS": str(inner / "log" / "rabbit.log"),
            "RABBITMQ_PID_FILE": str(inner / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": _ERLANG,
            # Makes the start script become the Erlang machine (exec), so that the pid we
            # start is the one to signal. It does nothing else.
            "RUNNING_UNDER_SYSTEMD": "true",
        }

    def _lay_out(self, config: str, plugins: Sequence[str], cookie: str) -> None:
        for name in ("home", "data", "log"):
            (self._folder / name).mkdir()
        secret = self._folder / "home" / ".erlang.cookie"
        secret.write_text(cookie, encoding="ascii")
        secret.chmod(0o400)
        (self._folder / "environment.conf").touch()
        (self._folder / "enabled_plugins").write_text(f"[{','.join(plugins)}].\n", encoding="ascii")
        lines = _CONFIG.format(port=self.port)
        if self._management_port is not None:
            lines += _MANAGEMENT_CONFIG.format(port=self._management_port)
        (self._folder / "rabbitmq.conf").write_text(f"{lines}{config}\n", encoding="utf-8")

    def _await_login(self, within: timedelta) -> None:
        deadline = time.monotonic() + within.total_seconds()
        wanted = [self.port, *filter(None, [self._management_port])]
        while time.monotonic() < deadline:
            if self._running is None or self._running.status is not None:
                raise NodeError(f"{self.name} ended while starting:\n{self._tail()}")
            if all(reachable(port, _POLL) for port in wanted) and self._takes_logins():
                return
        raise NodeError(f"{self.name} is not ready after {within}:\n{self._tail()}")

    def _takes_logins(self) -> bool:
        try:
            pika.BlockingConnection(pika.URLParameters(self.amqp_url)).close()
        except (pika.exceptions.AMQPError, OSError):
            return False
        return True

    def _tail(self) -> str:
        console = self._console.read_text(encoding="utf-8", errors="replace")
        return "\n".join([*console.splitlines()[-15:], *self.log().splitlines()[-15:]])
