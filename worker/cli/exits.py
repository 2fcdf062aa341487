"""How a command ends: the exit codes of the contract, after sysexits.h where it has one."""

from __future__ import annotations

from typing import Final

DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
ABSENT: Final = 69
"""Something it depends on is not there: RabbitMQ, an object in it, the API."""
AGAIN: Final = 75
"""Nothing is wrong; try again later."""
BAD_SETTINGS: Final = 78
