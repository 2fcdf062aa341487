"""Files that settings name: secrets, certificates, the table of accounts."""

from __future__ import annotations

import ssl
import tomllib
from stat import S_ISVTX, S_IWOTH
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

TEXT = "utf-8-sig"
"""UTF-8, with or without the byte-order mark that some editors put before it."""
LARGEST = 64 * 1024
LARGEST_TABLE = 4 * 1024 * 1024


def secret(path: Path) -> str:
    """The text of a secret's file, less the line end that editors and `echo` leave.

    Raises `ValueError` with the rest of a sentence about the path, never with the content.
    """
    try:
        text = _read(path, LARGEST).decode(TEXT)
    except UnicodeDecodeError:
        raise ValueError(f"names {path}, which is not text in UTF-8") from None
    text = text.rstrip("\r\n")
    if not text:
        raise ValueError(f"names {path}, which is empty")
    return text


def certificates(path: Path) -> None:
    """Make sure that a PEM file can be read and holds certificates; `ValueError` otherwise."""
    _read(path, LARGEST_TABLE)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except OSError:
        raise ValueError(f"names {path}, which holds no certificate in PEM form") from None


def table(path: Path) -> dict[str, object]:
    """The content of a TOML file; `ValueError` with the rest of a sentence otherwise."""
    try:
        return tomllib.loads(_read(path, LARGEST_TABLE).decode(TEXT))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"names {path}, which is not valid TOML: {error}") from None


def anybody_can_write(path: Path) -> bool:
    """Whether others than its owner and its group can change a file, or the folder it lies in."""
    try:
        file, folder = path.stat().st_mode, path.parent.stat().st_mode
    except OSError:
        return False
    return bool(file & S_IWOTH or (folder & S_IWOTH and not folder & S_ISVTX))


def readable(path: Path) -> None:
    """Make sure that a file can be read; `ValueError` otherwise."""
    _read(path, LARGEST_TABLE)


def _read(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise ValueError(f"names {path}, which cannot be read ({error.strerror})") from None
    except ValueError:
        raise ValueError("names no file that could exist") from None
    if len(content) > most:
        raise ValueError(f"names {path}, which is too large (over {most // 1024} KiB)")
    return content
