"""Environments and accounts files that are good unless a test says otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.settings import Settings, load

if TYPE_CHECKING:
    from pathlib import Path

CREDENTIALS = {"TASKEDIT_API_KEY": "bDqJFiq9", "TASKEDIT_API_SECRET": "7bz1lzh9"}


def loaded(**variables: str) -> Settings:
    """The settings of a good environment; names as after ``TASKEDIT_``, or in full."""
    found = load(environ(**variables))
    assert isinstance(found, Settings), "\n".join(map(str, found))
    return found


def problems(environ: dict[str, str]) -> list[str]:
    """What is wrong with an environment, as a person reads it."""
    found = load(environ)
    return [] if isinstance(found, Settings) else [str(problem) for problem in found]


def environ(**variables: str) -> dict[str, str]:
    """Good credentials, and these variables."""
    return CREDENTIALS | named(**variables)


def named(**variables: str) -> dict[str, str]:
    """Variables by their names after ``TASKEDIT_``."""
    return {f"TASKEDIT_{name.upper()}": value for name, value in variables.items()}


def accounts_file(folder: Path, text: str) -> dict[str, str]:
    """An environment with a file of accounts, and nothing else."""
    path = folder / "accounts.toml"
    path.write_text(text)
    return {"TASKEDIT_ACCOUNTS_FILE": str(path)}
