"""Which lanes this worker has bound before: notes in the state folder.

AMQP shows no bindings and lists no queues. So what a lane must be unbound from, and which lanes no
account owns any more, is known from these notes: of all accounts that were ever served from this
state folder, the routing keys that their lanes were bound by. What other machines bound is not in
them; the management API shows all of it (`taskedit topology show`).

Without notes, as in a new container, an app may have moved between the accounts since they were
bound. So then each lane is noted as bound by whatever is any account's, unless that is very much:
to unbind what was never bound is no error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from pydantic import TypeAdapter, ValidationError

from worker.core.unrouted import ANY
from worker.pipeline.poison import own_folder

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

log = structlog.get_logger()

FILE = "lanes.json"
DEFAULT = "default"
"""The account of settings without an accounts file: the likeliest former name of all."""
SUPPOSED_AT_MOST = 1000
"""Bindings, each of which costs an unbinding when it is another account's."""
_NOTES = TypeAdapter(dict[str, set[str]])


class FormerLanes:
    """Account to the keys that its lane was bound by, as far as this state folder knows."""

    def __init__(self, folder: Path, *, make: bool = True) -> None:
        """Read the notes; none, or unreadable ones, are no notes.

        `make`: the folder is made if need be, or one of our own in it (`own_folder`); without, for
        who only reads.
        """
        self._path: Path | None = None
        self.keys: dict[str, set[str]] = {}
        self._supposed: set[tuple[str, str]] = set()
        """Of `keys`, account and key that nobody has seen bound."""
        try:
            self._path = own_folder(folder, make=make) / FILE
            self.keys = _NOTES.validate_json(self._path.read_bytes())
        except FileNotFoundError:
            pass
        except (OSError, ValidationError) as error:
            path = str(self._path or folder)
            log.warning("notes_unreadable", path=path, why=type(error).__name__)
        self._has_notes = bool(self.keys)
        self.keys.setdefault(DEFAULT, {ANY})

    def note(self, bound: Mapping[str, Collection[str]]) -> None:
        """Lanes are about to be bound by these keys."""
        before = {account: set(keys) for account, keys in self.keys.items()}
        every = {key for keys in bound.values() for key in keys}
        if not self._has_notes and len(bound) * len(every) <= SUPPOSED_AT_MOST:
            for account, keys in bound.items():
                self.keys.setdefault(account, set()).update(every)
                self._supposed.update((account, key) for key in every.difference(keys))
        self._has_notes = True
        for account, keys in bound.items():
            self.keys.setdefault(account, set()).update(keys)
        if self.keys != before:
            self._write()

    def unbound(self, account: str, key: str) -> bool:
        """A lane is bound by a key no more; whether it was, and that not only supposed."""
        self.keys.get(account, set()).discard(key)
        self._write()
        was_supposed = (account, key) in self._supposed
        self._supposed.discard((account, key))
        return not was_supposed

    def forget(self, account: str) -> None:
        """There is no such lane."""
        if account != DEFAULT and self.keys.pop(account, None) is not None:
            self._write()

    def _write(self) -> None:
        if self._path is None:
            return
        fresh = self._path.with_suffix(".new")
        try:
            fresh.write_bytes(_NOTES.dump_json(self.keys))
            fresh.rename(self._path)
        except OSError as error:
            log.warning("notes_not_written", path=str(self._path), why=error.strerror)
