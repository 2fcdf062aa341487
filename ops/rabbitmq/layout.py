"""Where a node keeps its files, and what it reads from them; nothing of /etc/rabbitmq."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ops.rabbitmq import chroot
from ops.rabbitmq.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

MANAGEMENT = "rabbitmq_management"

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


@dataclass(frozen=True, slots=True)
class Layout:
    """A node's folder, full name, ports and plugins; `root` when it runs in another Debian."""

    folder: Path
    name: str
    plugins: tuple[str, ...]
    root: Path | None
    port: int
    management_port: int
    distribution_port: int = field(default_factory=free_port)

    @property
    def console(self) -> Path:
        """What the node prints, which matters when it cannot even log."""
        return self.folder / "log" / "console.log"

    @property
    def ports(self) -> list[int]:
        """Those that its clients may use."""
        return [self.port, self.management_port] if MANAGEMENT in self.plugins else [self.port]

    def write(self, config: str, cookie: str) -> None:
        """Make its folders and files. `config` comes last, so it wins."""
        for name in ("home", "data", "log"):
            (self.folder / name).mkdir()
        secret = self.folder / "home" / ".erlang.cookie"
        secret.write_text(cookie, encoding="ascii")
        secret.chmod(0o400)
        (self.folder / "environment.conf").touch()
        enabled = f"[{','.join(self.plugins)}].\n"
        (self.folder / "enabled_plugins").write_text(enabled, encoding="ascii")
        lines = _CONFIG.format(port=self.port)
        if MANAGEMENT in self.plugins:
            lines += _MANAGEMENT_CONFIG.format(port=self.management_port)
        (self.folder / "rabbitmq.conf").write_text(f"{lines}{config}\n", encoding="utf-8")

    def environment(self, mapper_port: int) -> dict[str, str]:
        """Of the node and of its tools. Source: RabbitMQ's guide to configuration."""
        inner = self.folder if self.root is None else chroot.INNER
        return {
            "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            "HOME": str(inner / "home"),
            "ERL_EPMD_PORT": str(mapper_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_DIST_PORT": str(self.distribution_port),
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

    def logged(self) -> str:
        """All that the node has logged so far."""
        log = self.folder / "log" / "rabbit.log"
        return log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""

    def last_words(self) -> str:
        """What the node printed around its failure, cause first, and the end of its log."""
        printed = self.console.read_text(encoding="utf-8", errors="replace").splitlines()
        failed = (number for number, line in enumerate(printed) if "BOOT FAILED" in line)
        end = next(failed, len(printed)) + 10
        return "\n".join([*printed[max(0, end - 20) : end], *self.logged().splitlines()[-15:]])

    def remembers(self, queue: str) -> bool:
        """Whether Ra has written down that there is this quorum queue of virtual host /."""
        name = f"%2F_{queue}".encode()
        entry = bytes([len(name)]) + name  # as Erlang writes an atom
        written = self.folder.glob("data/*/quorum/*/names.dets")
        return any(entry in path.read_bytes() for path in written)
