"""What settings are once they are read: typed, checked, and never printing a secret."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Final, Literal, Self

if TYPE_CHECKING:
    from datetime import timedelta
    from pathlib import Path

    from pydantic import SecretStr

    from schemas import Bounds
    from worker.account import Account, Endpoint
    from worker.core.rate_limit import Rate

ADOPTED: Final = frozenset(
    ("accounts", "terms", "amqp_urls", "management_url", "shutdown_grace", "warnings")
)
"""What a running worker takes on by SIGHUP; every other setting needs a restart.

RabbitMQ's addresses hold from the next connection on; the management API is for commands only.
"""
LogLevel = Literal["debug", "info", "warning", "error", "critical"]
LogFormat = Literal["auto", "json", "console"]


@dataclass(frozen=True, slots=True)
class AccountDefaults:
    """What an account has when its own table says nothing else."""

    endpoint: Endpoint = field(repr=False)  # a proxy's address may hold a password
    bounds: Bounds
    """Zone and daily window; no appIds, which are never shared."""
    rates: tuple[Rate, ...]
    concurrency: int
    attempts: int
    coalesce: bool


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
    terms: AccountDefaults
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

    def adopting(self, fresh: Self) -> tuple[Self, list[str], list[str]]:
        """These settings with what can be taken on of others.

        Also the variables of what was changed and taken on, and of what needs a restart.
        """
        changed = [
            each.name
            for each in fields(self)
            if each.name != "warnings" and getattr(self, each.name) != getattr(fresh, each.name)
        ]
        taken_on = {name: getattr(fresh, name) for name in ADOPTED}
        return (
            replace(self, **taken_on),
            [_variable(name) for name in changed if name in ADOPTED],
            [_variable(name) for name in changed if name not in ADOPTED],
        )


def _variable(name: str) -> str:
    """The variable that a setting comes from; `accounts` come from a file or several of them."""
    return {"amqp_urls": "TASKEDIT_AMQP_URL", "accounts": "accounts", "terms": "accounts"}.get(
        name, f"TASKEDIT_{name.upper()}"
    )
