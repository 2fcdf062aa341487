"""The contract as files, for publishers and subscribers in any language."""

from __future__ import annotations

import json
from pathlib import Path

from schemas import asyncapi
from schemas.json_schema import NAMES, json_schema
from schemas.yaml import yaml


def export(folder: Path | str) -> tuple[Path, ...]:
    """Write the JSON Schema files and ``asyncapi.yaml`` into a folder, made if need be.

    Returns their paths; raises OSError.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return tuple(_written(folder / name, text) for name, text in _texts().items())


def _texts() -> dict[str, str]:
    """Return what each file holds, by its name."""
    schemas = {name: json.dumps(json_schema(name), indent=2, ensure_ascii=False) for name in NAMES}
    files = {f"{name}.json": f"{_visible(text)}\n" for name, text in schemas.items()}
    return files | {"asyncapi.yaml": yaml(asyncapi.document())}


def _visible(text: str) -> str:
    """Return JSON with an escape for each character that an editor would not show."""
    return "".join(c if c.isprintable() or c == "\n" else f"\\u{ord(c):04x}" for c in text)


def _written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path
