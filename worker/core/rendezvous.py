"""Which replica a queue is served by, where RabbitMQ lets the consumer of highest priority serve.

Rendezvous hashing (Thaler and Ravishankar, 1998): every replica draws a number for every queue, and
the highest draw has it. Nobody needs to know of the others. When one goes, its queues alone move,
each to whoever drew second; one that comes takes from each of the others what it drew highest for.
"""

from __future__ import annotations

from hashlib import sha256

HIGHEST = 2**31 - 1
"""What AMQP's long integer holds."""


def priority(replica: str, queue: str) -> int:
    """The consumer priority (`x-priority`) of a replica for a queue: 1 to `HIGHEST`.

    The same on every machine and in every release, for replicas of two releases serve together.
    """
    drawn = sha256(f"{replica}\n{queue}".encode()).digest()
    return 1 + int.from_bytes(drawn[:8], "big") % HIGHEST
