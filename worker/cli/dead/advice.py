"""What to do about a dead letter, spelled out."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from worker.letters.past import Fresh, Settled, Superseded
from worker.letters.words import moment, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.letters.letter import Letter
    from worker.letters.past import Standing


def commands(letter: Letter) -> dict[str, str]:
    """The command for each thing that can be done about the letter."""
    name = f"--id {shlex.quote(letter.name)}"
    return {
        "redrive": f"taskedit dead redrive {name}",
        "mend": f"taskedit dead redrive {name} --edit",
        "export": f"taskedit dead export {name} > letter.jsonl",
        "discard": f"taskedit dead discard {name}",
    }


def advice(letter: Letter, standing: Standing | None, *, good: bool) -> Iterator[str]:
    """What is to be known before it is sent again, then the commands; a line each.

    `standing`: as the journal tells, None without one. `good`: the worker would take it now.
    """
    match standing:
        case Superseded(message_id, at):
            name = "one without a message id" if message_id is None else plain(message_id)
            yield f"A newer edit of this job ({name}) was applied at {moment(at)}:"
            yield "sending this one again would undo it; only --even-if-superseded does."
        case Settled(outcome):
            yield f"It has been sent again already, and that was {outcome}: this is a copy that"
            yield "a killed command left behind. A redrive takes it out without sending it."
        case Fresh() | None:
            pass
    if not good:
        yield "As it is, the worker would reject it again: mend it first."
    does = commands(letter)
    said = {"redrive": "once the cause is gone", "mend": "mended in $EDITOR, checked, and sent"}
    order = ("redrive", "mend") if good else ("mend", "redrive")
    rows = [(does[what], said[what]) for what in order]
    rows += [(does["export"], "to keep a copy"), (does["discard"], "to throw it away")]
    width = max(len(command) for command, _ in rows)
    for command, why in rows:
        yield f"{command.ljust(width)}  # {why}"
