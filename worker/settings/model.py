"""What settings are once they are read: typed, checked, and never printing a secret."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import timedelta
    from pathlib import Path

    from pydantic import SecretStr

    from schemas import Bounds
    from worker.account import Account, Endpoint
    from worker.core.pacing import Rate

LogLevel = Literal["debug", "info", "warning", "error", "critical"]
LogFormat = Literal["auto", "json", "console"]


@dataclass(frozen=True, slots=True)
class Terms:
    """What an account has when its own table says nothing else."""

    endpoint: Endpoint = field(repr=False)  # a proxy's address may hold a password
    bounds: Bounds
    """Zone and daily window; no appIds, which are never shared."""
    rates: tuple[Rate, ...]
    concurrency: int
    attempts: int


@dataclass(frozen=True, slots=True)
class Supervision:
    """What systemd told us of itself; all of it absent elsewhere."""

    notify_socket: str | None = None
    """Where sd_notify messages go: a path, or ``@name`` for an abstract address."""
    watchdog: timedelta | None = None
    """How long it waits for a sign of life before it ends the process."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything an operator decides. Secrets are `SecretStr`, and print as stars."""

    amqp_urls: tuple[SecretStr, ...]
    """Tried in turn."""
    heartbeat: timedelta
    namespace: str
    declare: bool
    """Whether to declare the topology, or only to check that it exists."""
    management_url: SecretStr | None
    accounts: tuple[Account, ...] = field(repr=False)
    """Empty only if they were not asked for; see `load`."""
    terms: Terms
    hold: timedelta
    """How long a delivery is kept unacked at most."""
    state_dir: Path
    """Not made yet."""
    ops_address: tuple[str, int]
    """Host and port; port 0 takes any free one."""
    replica: str
    """What this worker is called among its like."""
    shutdown_grace: timedelta
    log_level: LogLevel
    log_format: LogFormat
    no_color: bool
    supervision: Supervision
    tracing: bool = False
    """Whether the environment names a place for OpenTelemetry's traces."""
    warnings: tuple[str, ...] = ()
    """What is allowed and probably not meant, a sentence each."""
