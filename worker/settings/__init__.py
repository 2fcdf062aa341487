"""What an operator decides, read once at start and again on SIGHUP; see `load`.

The only reader of the environment.
"""

from __future__ import annotations

from worker.settings.load import environment, load
from worker.settings.model import AccountDefaults, LogFormat, LogLevel, Settings, Supervision
from worker.settings.source import Problem

__all__ = [
    "AccountDefaults",
    "LogFormat",
    "LogLevel",
    "Problem",
    "Settings",
    "Supervision",
    "environment",
    "load",
]
