"""The README and the addresses of a package: links lead to the repository as of this version."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

SOURCE_VARIABLE = "SOURCE_URL"
"""Names the repository's page, which only the forge knows that makes the release."""


class ReadmeHook(MetadataHookInterface):
    """Gives `project.readme` and `project.urls`."""

    PLUGIN_NAME = "custom"

    def update(self, metadata: dict[str, Any]) -> None:
        """Set both from README.md, the version and SOURCE_URL; no address where that is not set."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        source = os.environ.get(SOURCE_VARIABLE, "").rstrip("/")  # noqa: TID251 (no worker runs)
        tag = f"v{metadata['version']}"
        if source:
            text = absolute(text, f"{source}/blob/{tag}", f"{source}/raw/{tag}")
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
        metadata["urls"] = addresses(source, tag) if source else {}


def addresses(source: str, tag: str) -> dict[str, str]:
    """What leads from a package to its repository, whose page is `source`."""
    return {
        "Source": source,
        "Changelog": f"{source}/blob/{tag}/CHANGELOG.md",
        "Runbook": f"{source}/blob/{tag}/ops/runbook.md",
        "Issues": f"{source}/issues",
    }


def absolute(text: str, pages: str, pictures: str) -> str:
    """Markdown whose relative links begin with `pages`, and those of pictures with `pictures`."""

    def full(link: re.Match[str]) -> str:
        before, path = link["before"], link["path"]
        return f"{before}({pictures if before.startswith('!') else pages}/{path}"

    return re.sub(r"(?P<before>!?\[[^\]]*\])\((?!https?:|#|mailto:)(?P<path>[^)])", full, text)
