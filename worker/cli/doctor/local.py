"""What this machine shows: the settings, the state folder, the address of the ops HTTP."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from worker.cli.doctor.check import Check, Health
from worker.cli.exits import BAD_SETTINGS
from worker.cli.lanes import lanes_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from worker.cli.lanes import LaneFacts
    from worker.settings import Problem, Settings

NAME = "settings"


def refused(problems: Iterable[Problem]) -> list[Check]:
    """What is wrong with each; there is nothing else to look at then."""
    return [
        Check(NAME, Health.BAD, str(problem), f"set {problem.where}", BAD_SETTINGS)
        for problem in problems
    ]


def accepted(settings: Settings) -> Iterator[Check]:
    """What the settings come to, and what is probably not meant."""
    accounts = ", ".join(account.name for account in settings.accounts)
    yield Check(NAME, Health.GOOD, f"namespace {settings.namespace}, accounts {accounts}")
    for warning in settings.warnings:
        yield Check(NAME, Health.NOTE, warning)
    folder = settings.state_dir
    if _is_usable(folder):
        yield Check("state folder", Health.GOOD, f"{folder} can be written")
    else:
        says = f"{folder} cannot be written: which edit ended a process is not known to the next"
        fix = f"install -d -m 700 -o $(id -un) {folder}, or set TASKEDIT_STATE_DIR"
        yield Check("state folder", Health.BAD, says, fix)


def listening(settings: Settings) -> tuple[Check, dict[str, LaneFacts] | None]:
    """Whether the ops HTTP can be had at its address, and what a worker there tells of its lanes.

    None in place of the lanes when no worker answers.
    """
    host, port = settings.ops_address
    place = f"{host}:{port}"
    lanes = lanes_at(settings.ops_address) if port else None
    if lanes is not None:
        return Check("ops address", Health.GOOD, f"a worker answers at {place}"), lanes
    if why := _cannot_listen(host, port):
        says = f"nothing can listen at TASKEDIT_OPS_ADDRESS, {place}, and no worker answers: {why}"
        fix = f"ss -ltnp 'sport = :{port}', or set TASKEDIT_OPS_ADDRESS"
        return Check("ops address", Health.BAD, says, fix, BAD_SETTINGS), None
    return Check("ops address", Health.GOOD, f"{place} is free; no worker answers there"), None


def _cannot_listen(host: str, port: int) -> str | None:
    """Why a worker could not listen there; None when it could."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind((host, port))
    except OSError as error:
        return error.strerror or str(error)
    return None


def _is_usable(folder: Path) -> bool:
    """Whether it can be written, or made where it is to be."""
    there = next((each for each in (folder, *folder.parents) if each.exists()), folder)
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)
