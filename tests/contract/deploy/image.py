"""A Dockerfile read as far as the tests need it: stages, and what each says last."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Stage:
    """One FROM and what follows."""

    base: str
    said: dict[str, list[str]] = field(default_factory=dict)
    """Instruction to its arguments, in order."""

    def last(self, instruction: str) -> list[str]:
        """The list that the last such instruction gives, such as that of ENTRYPOINT."""
        found: list[str] = json.loads("[" + self.said[instruction][-1].partition("[")[2])
        return found

    @property
    def environment(self) -> dict[str, str]:
        """All of ENV; no value here holds a blank."""
        pairs = (pair.partition("=") for text in self.said.get("ENV", ()) for pair in text.split())
        return {name: value for name, _, value in pairs}


def stages(dockerfile: Path) -> dict[str, Stage]:
    """By name, in order."""
    text = re.sub(r"^\s*#.*\n", "", dockerfile.read_text(), flags=re.MULTILINE)
    found: dict[str, Stage] = {}
    for line in text.replace("\\\n", " ").splitlines():
        instruction, _, rest = line.strip().partition(" ")
        if instruction == "FROM":
            base, _, name = rest.partition(" AS ")
            found[name] = Stage(base)
        elif instruction and found:
            list(found.values())[-1].said.setdefault(instruction, []).append(rest.strip())
    return found
