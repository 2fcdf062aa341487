"""Before letters are sent again: which are meant, what the journal knows, what is mended."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from worker.cli.dead.checked import bounds_for
from worker.cli.dead.editing import edited
from worker.cli.dead.looked import looked, now
from worker.cli.troubled import ended, said
from worker.letters.past import Past
from worker.letters.plan import message, planned
from worker.visits.broker import Kind
from worker.visits.remember import remember

if TYPE_CHECKING:
    from worker.core.delivery import Delivery
    from worker.letters.letter import Letter
    from worker.letters.plan import Message, Plan
    from worker.letters.wanted import Wanted
    from worker.settings import Settings
    from worker.visits.broker import Broker


@dataclass(frozen=True, slots=True)
class Outlook:
    """The letters that are meant, with all that decides what becomes of them."""

    letters: list[Letter]
    newest: dict[Message, int]
    past: Past
    mended: dict[bytes, bytes]

    @classmethod
    def of(cls, broker: Broker, settings: Settings, wanted: Wanted, *, edit: bool) -> Outlook:
        """Look, remember, and have them edited if asked to; no letter is held meanwhile."""
        letters: list[Letter] = []
        bodies: dict[bytes, Delivery] = {}
        newest: dict[Message, int] = defaultdict(int)
        at = now()

        def see(letter: Letter, delivery: Delivery) -> None:
            of = message(letter)
            newest[of] = max(newest[of], letter.redrives)
            if wanted.takes(letter, at):
                letters.append(letter)
                if edit:
                    bodies.setdefault(letter.key, delivery)

        looked(broker, "redrive", see)
        past = _past(broker, letters)
        mended = {
            letter.key: edited(letter, bodies[letter.key], bounds_for(letter, settings))
            for letter in {one.key: one for one in letters if edit}.values()
        }
        return cls(letters, newest, past, mended)

    def plan(self, *, most: int | None, even_if_superseded: bool) -> Plan:
        """What is to become of each."""
        return planned(
            self.letters,
            self.past,
            self.newest,
            most=most,
            even_if_superseded=even_if_superseded,
            mended=self.mended,
        )


def _past(broker: Broker, letters: list[Letter]) -> Past:
    """What the journal knows of them; without a journal that is nothing, and said so."""
    past = Past.of(letters)
    trouble = remember(broker, past, letters) if letters else None
    if trouble is not None and trouble.kind is not Kind.NO_STREAM:
        raise ended(trouble)
    if trouble is not None:
        what = "Whether a newer edit of a job has been applied cannot be told"
        click.echo(f"{said(trouble.why)} {what}.", err=True)
    return past
