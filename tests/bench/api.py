"""The stub of the API as a child process, and what it has seen so far."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.board import Board

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Api:
    """A stub that runs; `board` says how many calls it has answered."""

    url: str
    board: Board
    pid: int
    latency: float
    """Seconds before each reply."""


@contextmanager
def serving(latency: float = 0.0) -> Iterator[Api]:
    """A stub for the length of the block."""
    with tempfile.TemporaryDirectory(prefix="bench-stub-") as folder:
        path = Path(folder) / "board"
        board = Board.made(path)
        with subprocess.Popen(
            (sys.executable, "-m", "tests.bench.stub", str(path), str(latency)),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as child:
            assert child.stdin is not None
            assert child.stdout is not None
            try:
                port = int(child.stdout.readline())
                yield Api(f"http://127.0.0.1:{port}/aivoice", board, child.pid, latency)
            finally:
                child.stdin.close()
