"""Which replica a queue is served by, where RabbitMQ lets the consumer of highest priority serve.

Rendezvous hashing (Thaler and Ravishankar, 1998): every replica draws a number for every queue, and
the highest draw has it. Nobody needs to know of the others. When one goes, its queues alone move,
each to whoever drew second; one that comes takes from each of the others what it drew highest for.
"""

from __future__ import annotations

from hashlib import sha256

HIGHEST = 2**31 - 1
"""What AMQP's long integer holds."""
_FIRST, _BEYOND = (4, 0), (4, 3)


def spreads(version: tuple[int, ...]) -> bool:
    """Whether a RabbitMQ, such as (4, 0, 5), moves a queue to the consumer of highest priority.

    Before 4.0 it does not. 4.3.6 does, but when channels of such consumers close it may keep one
    that is gone as the active one, and the queue is served by nobody.
    """
    return _FIRST <= version < _BEYOND


def priority(replica: str, queue: str) -> int:
    """The consumer priority (`x-priority`) of a replica for a queue: 1 to `HIGHEST`.

    The same on every machine and in every release, for replicas of two releases serve together.
    """
    drawn = sha256(f"{replica}\n{queue}".encode()).digest()
    return 1 + int.from_bytes(drawn[:8], "big") % HIGHEST
