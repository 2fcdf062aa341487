"""A few numbers in memory that two processes share: the stub writes them, the bench reads them.

A file mapped by both, so that looking costs the one who is watched nothing.
"""

from __future__ import annotations

import mmap
import struct
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path

_FORM = struct.Struct("=QQQd")
_SIZE = mmap.PAGESIZE
_HELD = struct.Struct("=B")
_HELD_AT = 512
"""Apart from the rest, for it is the bench that writes it."""


class Board:
    """Calls answered, nanoseconds they took and how many bytes came; and whether to hold replies.

    Each process has its own `Board` of the same file, which holds zeros at first.
    """

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _SIZE)

    @classmethod
    def made(cls, path: Path) -> Self:
        """A board of a new file."""
        path.write_bytes(bytes(_SIZE))
        return cls(path)

    def write(self, calls: int, nanoseconds: int, size: int, last: float) -> None:
        """Say how things are; `last`: when the last reply was sent, monotonic seconds."""
        _FORM.pack_into(self._memory, 0, calls, nanoseconds, size, last)

    @property
    def calls(self) -> int:
        """How many replies have been sent."""
        return int(_FORM.unpack_from(self._memory)[0])

    @property
    def nanoseconds(self) -> int:
        """How long those calls were with the stub, all together."""
        return int(_FORM.unpack_from(self._memory)[1])

    @property
    def size(self) -> int:
        """How many bytes of requests came."""
        return int(_FORM.unpack_from(self._memory)[2])

    @property
    def last(self) -> float:
        """When the last reply was sent, in monotonic seconds, which all processes share."""
        return float(_FORM.unpack_from(self._memory)[3])

    @property
    def held(self) -> bool:
        """Whether replies are to wait."""
        return bool(_HELD.unpack_from(self._memory, _HELD_AT)[0])

    @held.setter
    def held(self, held: bool) -> None:
        _HELD.pack_into(self._memory, _HELD_AT, held)
