"""A private RabbitMQ node."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ops.rabbitmq import chroot, install
from ops.rabbitmq.guard import Guarded
from ops.rabbitmq.layout import MANAGEMENT, Layout
from ops.rabbitmq.portmapper import PortMapper, reachable
from ops.rabbitmq.ports import USUAL, free_port

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

_START = timedelta(seconds=90)
_STOP = timedelta(seconds=30)
_CTL = timedelta(seconds=60)
_POLL = timedelta(milliseconds=50)


class NodeError(Exception):
    """A node did not start, or a command for it failed; the message holds the log's end."""


class Node:
    """A RabbitMQ node of one's own, as a context manager.

    Ports, name and data stay the same over stop, kill and start, so clients find it again.
    Everything it writes is under `folder`, which must exist and be new. `config` is
    rabbitmq.conf (it wins over the node's own lines), `root` the folder of another Debian to
    run in (see `chroot`). Nodes that are to meet share a `mapper`. With `usual_ports` it takes
    those that every client tries first, where they are free.
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
        usual_ports: bool = False,
    ) -> None:
        installation = install.found(root or Path("/"))
        if installation is None:
            raise install.AbsentError(f"there is no RabbitMQ under {root or '/'}")
        self._installation = installation
        ports = map(free_port, USUAL) if usual_ports else (free_port(), free_port())
        self._layout = Layout(folder.resolve(), f"{name}@localhost", tuple(plugins), root, *ports)
        self._own_mapper = mapper is None
        self._mapper = mapper or PortMapper(folder, root=root)
        self._layout.write(config, self._mapper.cookie)
        self._environment = self._layout.environment(self._mapper.port)
        self._running: Guarded | None = None
        self._frozen = False

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
    def name(self) -> str:
        """As its tools know it, such as rabbit@localhost."""
        return self._layout.name

    @property
    def port(self) -> int:
        """Where it speaks AMQP, on 127.0.0.1."""
        return self._layout.port

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
        if MANAGEMENT not in self._layout.plugins:
            raise NodeError(f"{self.name} runs without the plugin {MANAGEMENT}")
        return f"http://guest:guest@127.0.0.1:{self._layout.management_port}"

    @property
    def pid(self) -> int | None:
        """The process id of its Erlang machine; None when it does not run."""
        return None if self._running is None else self._running.pid

    @property
    def serving(self) -> bool:
        """Whether it runs and is not frozen."""
        return self._running is not None and self._running.status is None and not self._frozen

    def start(self, within: timedelta = _START) -> None:
        """Start it, unless it runs; returns once it serves clients. Or NodeError."""
        if self._running is not None and self._running.status is None:
            return
        self.kill()  # what is left of one that ended by itself
        self._mapper.start()
        try:
            with self._layout.console.open("ab") as output:
                self._running = Guarded.started(
                    self._command("rabbitmq-server"),
                    environment=self._environment,
                    folder=self._layout.folder,
                    output=output,
                )
            self._await_readiness(within)
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
        """End it at once, as kill -9 does; what a queue had confirmed survives: `remembers`."""
        if self._running is not None:
            self._running.kill()
            self._running = None
        self._frozen = False

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
            self._frozen = True

    def thaw(self) -> None:
        """Let it go on after `freeze`."""
        if self._running is not None:
            self._running.signal(signal.SIGCONT)
            self._frozen = False

    def ctl(self, *arguments: str, within: timedelta = _CTL) -> str:
        """What `rabbitmqctl` prints, for arguments such as "list_queues" and "name"."""
        return self.tool("rabbitmqctl", *arguments, within=within)

    def tool(self, program: str, *arguments: str, stdin: str = "", within: timedelta = _CTL) -> str:
        """What a program of RabbitMQ's prints, such as rabbitmq-diagnostics; or NodeError."""
        try:
            done = subprocess.run(
                self._command(program, "--quiet", "--node", self.name, *arguments),
                env=self._environment,
                cwd=self._layout.folder,
                check=False,
                capture_output=True,
                text=True,
                input=stdin,
                timeout=within.total_seconds(),
            )
        except subprocess.TimeoutExpired as late:
            raise NodeError(f"{program} {' '.join(arguments)}: no answer in {within}") from late
        if done.returncode:
            said = (done.stdout + done.stderr).strip()
            raise NodeError(f"{program} {' '.join(arguments)}: {said}")
        return done.stdout

    def remembers(self, queue: str) -> bool:
        """Whether a quorum queue of the virtual host / is on disk, so that it outlives `kill`.

        RabbitMQ writes down which quorum queues there are up to a second after it has
        declared them (Ra's names.dets, auto_save). Killed before, it comes back with the
        queue empty and without a leader for ever. Seen on 3.10.8 and 4.0.5.
        """
        return self._layout.remembers(queue)

    def log(self) -> str:
        """All that it has logged so far."""
        return self._layout.logged()

    def _command(self, program: str, *arguments: str) -> list[str]:
        command = [self._installation.program(program), *arguments]
        if self._layout.root is None:
            return command
        return chroot.entered(self._layout.root, self._layout.folder, command)

    def _await_readiness(self, within: timedelta) -> None:
        deadline = time.monotonic() + within.total_seconds()
        while time.monotonic() < deadline:
            if self._running is None or self._running.status is not None:
                raise NodeError(f"{self.name} ended while starting:\n{self._layout.last_words()}")
            if all(reachable(port, _POLL) for port in self._layout.ports) and self._speaks():
                return
        raise NodeError(f"{self.name} is not ready after {within}:\n{self._layout.last_words()}")

    def _speaks(self) -> bool:
        """Whether it opens a connection; listeners are the last thing that a node starts.

        Source: AMQP 0-9-1, 4.2.2: the protocol header is answered by a method frame (1).
        """
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as client:
                client.sendall(b"AMQP\x00\x00\x09\x01")
                return client.recv(1) == b"\x01"
        except OSError:
            return False
