"""What the sections with many accounts share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import requests

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def accounts_file(folder: Path, keys: Sequence[str], *, rate: str | None = None) -> Path:
    """A file of accounts with these API keys; `rate` is the first one's own, if it has one."""
    tables = [
        f'[accounts.account-{number}]\napi_key = "{key}"\napi_secret = "secret-of-{key}"\n'
        f'app_ids = ["app-{number}"]\n'
        for number, key in enumerate(keys)
    ]
    if rate is not None:
        tables[0] += f'rate = "{rate}"\n'
    path = folder / "accounts.toml"
    path.write_text("\n".join(tables))
    return path


def is_ready(port: int) -> bool:
    """Whether the worker says that it serves every lane; so it has declared them all."""
    try:
        return requests.get(f"http://127.0.0.1:{port}/readyz", timeout=2).ok
    except requests.RequestException:
        return False
