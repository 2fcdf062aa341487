"""Settings read from the environment and from the files it names, with every fault at once."""

from __future__ import annotations

import os
import tempfile
from datetime import timedelta
from pathlib import Path
from socket import gethostname
from typing import TYPE_CHECKING

from pydantic import SecretStr

from worker.settings import accounts, console, files, texts
from worker.settings.model import LogFormat, LogLevel, Settings, Supervision
from worker.settings.source import PREFIX, Findings, environment_source, unknown_setting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from worker.account import Account
    from worker.settings.model import AccountDefaults
    from worker.settings.source import Problem, SettingsSource

NAMES = (
    accounts.NAMES
    | accounts.TERMS
    | console.NAMES
    | frozenset(
        (
            "amqp_url",
            "amqp_url_file",
            "heartbeat",
            "namespace",
            "declare",
            "management_url",
            "management_url_file",
            "accounts_file",
            "hold",
            "state_dir",
            "ops_address",
            "replica",
            "shutdown_grace",
            "log_level",
            "log_format",
        )
    )
)
"""Every setting, as the variables are named after ``TASKEDIT_`` and in lower case."""

_SECOND, _MINUTE = timedelta(seconds=1), timedelta(minutes=1)
_LEVELS: dict[str, LogLevel] = {
    "debug": "debug",
    "info": "info",
    "warning": "warning",
    "error": "error",
    "critical": "critical",
}
_FORMATS: dict[str, LogFormat] = {"auto": "auto", "json": "json", "console": "console"}
LONGEST_HOLD_BY_DEFAULT = 29 * _MINUTE
"""RabbitMQ waits 30 minutes for an acknowledgement unless it is told otherwise."""


def load(
    environ: Mapping[str, str], *, accounts_wanted: bool = True, secrets_wanted: bool = True
) -> Settings | tuple[Problem, ...]:
    """The settings, or what is wrong with them: one sentence a setting.

    `accounts_wanted=False` is for commands that never call the API: then no credentials at all
    means no accounts. `secrets_wanted=False` is for those that need at most the accounts' names:
    keys and secrets are neither read nor missed. Files are read anew each time, so the same call
    serves a reload.
    """
    findings = Findings()
    source = environment_source(environ, findings)
    own = accounts.read_terms(source, accounts.default_terms())
    ops_address = source.read("ops_address", texts.address, ("127.0.0.1", 9464))
    namespace = source.read("namespace", texts.namespace, "task-edit")
    settings = Settings(
        amqp_urls=source.secret(
            "amqp_url", texts.brokers, (SecretStr("amqp://guest:guest@localhost:5672/%2F"),)
        ),
        heartbeat=source.read("heartbeat", texts.duration(_SECOND, 5 * _MINUTE), 5 * _SECOND),
        namespace=namespace,
        declare=source.read("declare", texts.switch, default=True),
        management_url=source.secret("management_url", texts.management, None),
        accounts=_accounts(source, own, wanted=accounts_wanted, secrets_wanted=secrets_wanted),
        terms=own,
        hold=_hold(source),
        state_dir=_state_dir(source, environ, namespace),
        ops_address=ops_address,
        replica=source.read("replica", texts.replica, f"{gethostname()}:{ops_address[1]}"),
        shutdown_grace=source.read(
            "shutdown_grace", texts.duration(_SECOND, 60 * _MINUTE), 45 * _SECOND
        ),
        log_level=source.read("log_level", texts.choice(_LEVELS), "info"),
        log_format=source.read("log_format", texts.choice(_FORMATS), "auto"),
        no_color=bool(environ.get("NO_COLOR")),
        supervision=_supervision(environ),
        tracing=_tracing(environ),
        warnings=(*_misspelt(source, environ), *findings.warnings),
    )
    return tuple(findings.problems) or settings


def environment() -> Mapping[str, str]:
    """The process's environment; nobody else reads it."""
    return os.environ  # noqa: TID251 (the one place)


def _accounts(
    source: SettingsSource, own: AccountDefaults, *, wanted: bool, secrets_wanted: bool
) -> tuple[Account, ...]:
    if not source.has("accounts_file"):
        if wanted or source.has("api_key", "api_secret"):
            return accounts.sole_account(source, own, secrets_wanted=secrets_wanted)
        return ()
    for name in ("api_key", "api_secret", "app_ids"):
        if source.has(name):
            source.warn(name, f"is not used: {source.place('accounts_file')} has the accounts")

    def parse(path: str) -> tuple[Account, ...]:
        if files.anybody_can_write(source.within(path)):
            source.warn("accounts_file", f"names {path}, which every user can change: chmod o-w")
        return accounts.accounts_in(
            source.within(path), own, source.findings, secrets_wanted=secrets_wanted
        )

    return source.read("accounts_file", parse, ())


def _hold(source: SettingsSource) -> timedelta:
    hold = source.read("hold", texts.duration(5 * _SECOND, 59 * _MINUTE), 20 * _MINUTE)
    if hold > LONGEST_HOLD_BY_DEFAULT:
        source.warn(
            "hold",
            "is above RabbitMQ's own acknowledgement timeout of 30m: unless consumer_timeout was"
            " raised in the broker's settings, it closes the channel first",
        )
    return hold


def _state_dir(source: SettingsSource, environ: Mapping[str, str], namespace: str) -> Path:
    systemds = environ.get("STATE_DIRECTORY", "").split(":")[0]
    default = Path(systemds) if systemds else _temporary() / namespace
    return source.read("state_dir", source.within, default)


def _temporary() -> Path:
    """The system's folder for temporary files; where none can be written, its usual name."""
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError:
        return Path("/tmp")  # noqa: S108 (nothing can be written there, which is told later)


def _supervision(environ: Mapping[str, str]) -> Supervision:
    """sd_notify(3) and sd_watchdog_enabled(3)."""
    usec, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    ours = usec.isdecimal() and int(usec) > 0 and pid in {"", str(os.getpid())}
    watchdog = timedelta(microseconds=int(usec)) if ours else None
    return Supervision(environ.get("NOTIFY_SOCKET") or None, watchdog)


def _tracing(environ: Mapping[str, str]) -> bool:
    """OpenTelemetry's own variables, which its SDK reads in full.

    Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
    """
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    places = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    return exporter == "otlp" or (exporter == "" and any(environ.get(place) for place in places))


def _misspelt(source: SettingsSource, environ: Mapping[str, str]) -> list[str]:
    found = [
        unknown_setting(source.place(name), meant and source.place(meant))
        for name, meant in source.unknown(NAMES)
    ]
    found += [
        unknown_setting(name, name.upper())
        for name in environ
        if name.upper().startswith(PREFIX) and not name.isupper()
    ]
    return found
