"""The README as the package index shows it: links lead to the repository as of this version."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class ReadmeHook(MetadataHookInterface):
    """Gives `project.readme`, whose relative links only work within the repository."""

    PLUGIN_NAME = "custom"

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the readme from README.md, `project.urls.Source` and the version."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        source, tag = metadata["urls"]["Source"], f"v{metadata['version']}"
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": absolute(text, f"{source}/blob/{tag}", f"{source}/raw/{tag}"),
        }


def absolute(text: str, pages: str, pictures: str) -> str:
    """Markdown whose relative links begin with `pages`, and those of pictures with `pictures`."""

    def full(link: re.Match[str]) -> str:
        before, path = link["before"], link["path"]
        return f"{before}({pictures if before.startswith('!') else pages}/{path}"

    return re.sub(r"(?P<before>!?\[[^\]]*\])\((?!https?:|#|mailto:)(?P<path>[^)])", full, text)
