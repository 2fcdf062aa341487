"""What a redrive is going to do with each letter."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, takewhile
from typing import TYPE_CHECKING, assert_never

from worker.deadletters.history import AlreadySettled, JobHistory, Overtaken, Redrivable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from worker.core.identity import Place
    from worker.deadletters.history import Eligibility
    from worker.deadletters.letter import Letter


Message = tuple[str, str, bytes]
"""Account, message id and digest: whose letters one message can have left."""


@dataclass(frozen=True, slots=True)
class RedriveAction:
    """A letter to be taken out of the queue, sent again unless it is a copy."""

    key: bytes
    size: int
    """Of its body, in bytes."""
    redrives: int | None
    """The redrive count to send it with; None for a copy of what has been settled."""
    body: bytes | None = None
    """What to send instead of its own body."""
    place: Place | None = None
    """The lane does not call it after an edit of its job with a greater one; None: whatever."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Every wanted letter, and what is to become of it."""

    moves: tuple[RedriveAction, ...]
    """In the order of their deaths."""
    superseded: tuple[tuple[Letter, Overtaken], ...]
    """Left where they are."""
    beyond: int = 0
    """How many more would be sent if it were not for the limit."""

    @property
    def sends(self) -> int:
        """How many letters are to be sent."""
        return sum(move.redrives is not None for move in self.moves)

    @property
    def copies(self) -> int:
        """How many are only taken out."""
        return len(self.moves) - self.sends


def planned(
    letters: Iterable[Letter],
    past: JobHistory,
    newest: Mapping[Message, int],
    *,
    most: int | None = None,
    even_if_superseded: bool = False,
    mended: Mapping[bytes, bytes] | None = None,
) -> Plan:
    """The plan for letters that somebody wants sent again.

    `newest`: the highest redrive count of the dead letters of each message, wanted or not.
    `mended`: new bodies, by the key of their letter.
    """
    moves: dict[bytes, RedriveAction] = {}
    superseded: list[tuple[Letter, Overtaken]] = []
    sends = beyond = 0
    for letter in sorted(letters, key=lambda letter: letter.order):
        count = _count(past.standing(letter, newest.get(message(letter), 0)))
        if isinstance(count, Overtaken):
            if not even_if_superseded:
                superseded.append((letter, count))
                continue
            count = count.redrives
        if letter.key in moves:
            continue  # a copy of one that is in the plan: both go with it
        if count is not None and most is not None and sends >= most:
            beyond += 1
            continue
        sends += count is not None
        body = (mended or {}).get(letter.key)
        place = None if even_if_superseded else past.place(letter)
        moves[letter.key] = RedriveAction(letter.key, letter.size, count, body, place)
    return Plan(tuple(moves.values()), tuple(superseded), beyond)


def first_within(moves: Sequence[RedriveAction], size: int) -> int:
    """How many of the first moves have bodies of at most so many bytes together; at least one."""
    sums = accumulate(move.size for move in moves)
    return max(1, sum(1 for _ in takewhile(lambda sum_: sum_ <= size, sums)))


def message(letter: Letter) -> Message:
    """Which message the letter is of, whatever its redrive count."""
    if letter.identity is None:
        return "", "", letter.key
    return letter.identity.account, letter.identity.message_id, letter.identity.digest


def _count(standing: Eligibility) -> int | Overtaken | None:
    """The redrive count to send it with; None if it is not to be sent."""
    match standing:
        case Redrivable(redrives):
            return redrives
        case AlreadySettled():
            return None
        case Overtaken():
            return standing
        case _:
            assert_never(standing)
