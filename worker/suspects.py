"""Which edits have ended the process before: notes that outlive it, in the state folder.

The broker's delivery count cannot tell the culprit from its neighbours in the window. So the
worker notes which redelivered edits it is calling, and clears the note when the call returns.
After two unclean deaths a noted edit runs alone; only deaths while alone count, and at three it
is poison. One file a process, held by a lock: an unlocked one was left behind by a dead process.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from fcntl import LOCK_EX, LOCK_NB, flock
from hashlib import sha256
from typing import IO, TYPE_CHECKING
from uuid import uuid4

import structlog
from pydantic import TypeAdapter, ValidationError

if TYPE_CHECKING:
    from pathlib import Path

    from worker.core.delivery import Delivery

log = structlog.get_logger()

DEATHS_BEFORE_ALONE = 2
DEATHS_ALONE = 3


@dataclass(frozen=True, slots=True)
class Record:
    """What is known against an edit."""

    deaths: int = 0
    """Unclean ends of a process that was calling it, among others."""
    deaths_alone: int = 0
    """Unclean ends of a process that was calling it and nothing else."""
    calling: bool = False
    alone: bool = False

    @property
    def runs_alone(self) -> bool:
        """Whether it is to be called while nothing else is."""
        return self.deaths >= DEATHS_BEFORE_ALONE

    @property
    def is_poison(self) -> bool:
        """Whether it has ended the process three times with nobody else to blame."""
        return self.deaths_alone >= DEATHS_ALONE

    def after_death(self) -> Record:
        """What is known once the process that kept this record has died."""
        if not self.calling:
            return self
        alone = self.alone
        return Record(self.deaths + (not alone), self.deaths_alone + alone)


_NOTES = TypeAdapter(dict[str, Record])


class Suspects:
    """The notes of this process, and what it inherited from those that died."""

    def __init__(self, folder: Path) -> None:
        """Take over the notes of dead processes in `folder`, which is made if need be.

        Raises `OSError` when the folder cannot be written to.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._records: dict[str, Record] = {}
        self._path = folder / f"calling-{uuid4().hex}.json"
        self._file = _locked(self._path)
        for path in folder.glob("calling-*.json"):
            if path != self._path:
                self._inherit(path)
        self._write()

    def known(self, delivery: Delivery) -> Record:
        """What is known against a delivery; nothing against one that was never redelivered."""
        if not delivery.redelivered or not self._records:
            return Record()
        return self._records.get(_key(delivery), Record())

    def begin(self, delivery: Delivery, *, alone: bool) -> None:
        """Note that a redelivered edit is being called."""
        if delivery.redelivered:
            key = _key(delivery)
            before = self._records.get(key, Record())
            self._records[key] = replace(before, calling=True, alone=alone)
            self._write()

    def end(self, delivery: Delivery) -> None:
        """Its call has returned, so it did not end the process: nothing is held against it."""
        if delivery.redelivered and self._records.pop(_key(delivery), None) is not None:
            self._write()

    def close(self) -> None:
        """Leave nothing behind but what was inherited: this process has not died of anything."""
        self._records = {
            key: replace(one, calling=False) for key, one in self._records.items() if one.deaths
        }
        if self._records:
            self._write()
        else:
            self._path.unlink(missing_ok=True)
        self._file.close()

    def _inherit(self, path: Path) -> None:
        try:
            file = path.open("r+", encoding="ascii", errors="replace")
        except FileNotFoundError:
            return  # another process was faster
        except OSError as error:
            log.warning("notes_unreadable", path=str(path), why=error.strerror)
            return
        with file:
            if not _lock(file):
                return
            for key, fields in _notes(file.read()).items():
                record = fields.after_death()
                if record.deaths or record.deaths_alone:
                    known = self._records.get(key, Record())
                    self._records[key] = Record(
                        max(known.deaths, record.deaths),
                        max(known.deaths_alone, record.deaths_alone),
                    )
                    log.warning("edit_suspected", deaths=record.deaths, alone=record.deaths_alone)
            self._write()
            path.unlink(missing_ok=True)

    def _write(self) -> None:
        """Overwrite in place: the page cache outlives the process, which is all that is needed."""
        text = json.dumps({key: asdict(one) for key, one in self._records.items()})
        self._file.seek(0)
        self._file.write(text)
        self._file.truncate()
        self._file.flush()


def _key(delivery: Delivery) -> str:
    properties = delivery.properties
    text = f"{properties.message_id or ''}\x1f{delivery.routing_key}\x1f".encode(errors="replace")
    return sha256(text + delivery.body).hexdigest()


def _locked(path: Path) -> IO[str]:
    """A new file, which has its name only once it is locked, and so never looks left behind."""
    unnamed = path.with_suffix(".new")
    file = unnamed.open("x+", encoding="ascii")
    _lock(file)
    unnamed.rename(path)
    return file


def _lock(file: IO[str]) -> bool:
    try:
        flock(file, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _notes(text: str) -> dict[str, Record]:
    """Notes as written; those of a process that died while writing them are lost."""
    try:
        return _NOTES.validate_json(text)
    except ValidationError:
        return {}
