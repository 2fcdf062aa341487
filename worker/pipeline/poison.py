"""Which edits have ended the process before: notes that outlive it, in the state folder.

The broker's delivery count cannot tell the culprit from its neighbours in the window. So the
worker notes which redelivered edits it is calling, and clears the note when the call returns.
After two unclean deaths a noted edit runs alone; only deaths while alone count, and at three it
is poison, if others in its place survive: calls of others have returned between its deaths. Where
hardly any return and another edit dies alone as well, somebody kills the process, and neither is
to blame. One file a process, held by a lock: an unlocked one was left behind by a dead process.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from errno import ENOSPC, EPERM
from fcntl import LOCK_EX, LOCK_NB, flock
from hashlib import sha256
from pathlib import Path
from stat import S_ISDIR, S_IWGRP, S_IWOTH
from typing import TYPE_CHECKING
from uuid import uuid4

import structlog
from pydantic import TypeAdapter, ValidationError

if TYPE_CHECKING:
    from io import FileIO

    from worker.core.message import Delivery

log = structlog.get_logger()

DEATHS_BEFORE_ALONE = 2
DEATHS_ALONE = 3
SURVIVORS = 3
"""Calls of others that return between an edit's deaths, for another's death not to excuse it."""
PRIVATE = 0o700
"""The mode of a folder that we make."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is known against an edit."""

    deaths: int = 0
    """Unclean ends of a process that was calling it, among others."""
    deaths_alone: int = 0
    """Unclean ends of a process that was calling it and nothing else."""
    calling: bool = False
    alone: bool = False
    survivors: int = 0
    """Calls of other edits that returned since it last ended a process while alone."""
    outlived: bool = False
    """Whether others had survived between two of its deaths alone."""

    @property
    def runs_alone(self) -> bool:
        """Whether it is to be called while nothing else is."""
        return self.deaths >= DEATHS_BEFORE_ALONE

    @property
    def is_poison(self) -> bool:
        """Whether it has ended the process three times alone, and others have survived between."""
        return self.deaths_alone >= DEATHS_ALONE and self.outlived

    @property
    def lets_others_first(self) -> bool:
        """Every other time, so that it is not found at the same place in each process's life."""
        return self.deaths_alone % 2 == 1

    def after_death(self) -> Record:
        """What is known once the process that kept this record has died."""
        if not self.calling:
            return self
        if not self.alone:
            return replace(self, deaths=self.deaths + 1, calling=False)
        return replace(
            self,
            deaths_alone=self.deaths_alone + 1,
            calling=False,
            alone=False,
            survivors=0,
            outlived=self.outlived or self.survivors > 0,
        )

    def after_anothers(self) -> Record:
        """What is known once another edit has died alone: if few survive, it is not the edits."""
        if self.survivors >= SURVIVORS:
            return self
        return replace(self, deaths_alone=0, outlived=False)


NOTHING_KNOWN = Record()
_NOTES = TypeAdapter(dict[str, Record])


class CrashLedger:
    """The notes of this process, and what it inherited from those that died."""

    def __init__(self, folder: Path | None) -> None:
        """Take over the notes of dead processes in `folder`, which is made if need be.

        Without a folder that can be used, or with None, what is noted ends with the process.
        """
        self.trouble: str | None = None
        """Why notes do not outlive the process at the moment; None when they do."""
        self._records: dict[str, Record] = {}
        self._file: FileIO | None = None
        self._path = Path()
        if folder is not None:
            try:
                self._take_over(own_folder(folder))
            except OSError as error:
                self._cannot(error)

    def _take_over(self, folder: Path) -> None:
        self._path = folder / f"calling-{uuid4().hex}.json"
        try:
            self._file = _locked(self._path)
        except OSError as error:  # a full disk: what the dead left can be read all the same
            self._cannot(error)
        for path in folder.glob("calling-*.json"):
            if path != self._path:
                self._inherit(path)
        self._write()

    def _cannot(self, error: OSError) -> None:
        """Go on without: notes are worth less than the edits that wait."""
        if self.trouble is None:
            log.warning("state_folder_unusable", why=str(error))
        self.trouble = f"the state folder cannot be used: {error}"

    def known(self, delivery: Delivery) -> Record:
        """What is known against a delivery; nothing against one that was never redelivered."""
        if not delivery.redelivered or not self._records:
            return NOTHING_KNOWN
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
        if not self._records:
            return
        own = self._records.pop(_key(delivery), None) if delivery.redelivered else None
        was_called = own.calling if own is not None else not delivery.redelivered
        outlived = was_called and self._survived()
        if own is not None or outlived:
            self._write()

    def _survived(self) -> bool:
        """Count a call that returned for those that have ended a process; whether any has."""
        accused = [
            (key, one)
            for key, one in self._records.items()
            if one.deaths_alone and one.survivors < SURVIVORS
        ]
        for key, one in accused:
            self._records[key] = replace(one, survivors=one.survivors + 1)
        return bool(accused)

    def close(self) -> None:
        """Leave nothing behind but what was inherited: this process has not died of anything."""
        self._records = {
            key: replace(one, calling=False) for key, one in self._records.items() if one.deaths
        }
        if self._file is None:
            return
        if self._records:
            self._write()
        else:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)
        self._file.close()

    def _inherit(self, path: Path) -> None:
        try:
            file = path.open("r+b", buffering=0)
        except FileNotFoundError:
            return  # another process was faster
        except OSError as error:
            log.warning("notes_unreadable", path=str(path), why=error.strerror)
            return
        with file:
            if os.fstat(file.fileno()).st_uid != os.geteuid() or not _lock(file):
                return
            notes = _notes(file.readall())
            lone = {key for key, one in notes.items() if one.calling and one.alone}
            for key, one in notes.items():
                record = one.after_anothers() if lone - {key} else one
                record = record.after_death()
                if record.deaths or record.deaths_alone:
                    known = self._records.get(key, Record())
                    self._records[key] = max(known, record, key=_weight)
                    log.warning("edit_suspected", deaths=record.deaths, alone=record.deaths_alone)
            if self._write():
                with suppress(OSError):
                    path.unlink(missing_ok=True)

    def _write(self) -> bool:
        """Overwrite in place: the page cache outlives the process, which is all that is needed."""
        if self._file is None:
            return False
        text = json.dumps({key: asdict(one) for key, one in self._records.items()})
        try:
            self._file.seek(0)
            whole = self._file.write(text.encode()) == len(text)
            self._file.truncate()
        except OSError as error:
            self._cannot(error)
            return False
        if whole:
            self.trouble = None
        else:
            self._cannot(OSError(ENOSPC, os.strerror(ENOSPC)))
        return whole


def _weight(record: Record) -> tuple[bool, int, int]:
    return record.outlived, record.deaths_alone, record.deaths


def _key(delivery: Delivery) -> str:
    properties = delivery.properties
    text = f"{properties.message_id or ''}\x1f{delivery.routing_key}\x1f".encode(errors="replace")
    return sha256(text + delivery.body).hexdigest()


def own_folder(folder: Path, *, make: bool = True) -> Path:
    """The folder itself, if nobody else can write there, or else one of our own within.

    `make`: it is made if need be.

    The default lies in a temporary folder that is everybody's: who makes it first could leave
    notes there that send our edits to the dead letters. Raises `OSError`.
    """
    if make:
        folder.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
    if _is_own(folder):
        return folder
    own = folder / f"own-{os.geteuid()}"
    if make:
        own.mkdir(mode=PRIVATE, exist_ok=True)
    if not _is_own(own):
        raise PermissionError(EPERM, "belongs to, or can be written by, somebody else", str(own))
    return own


def _is_own(folder: Path) -> bool:
    found = folder.lstat()
    others_write = found.st_mode & (S_IWGRP | S_IWOTH)
    return S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not others_write


def _locked(path: Path) -> FileIO:
    """A new file, which has its name only once it is locked, and so never looks left behind."""
    unnamed = path.with_suffix(".new")
    file = unnamed.open("x+b", buffering=0)
    _lock(file)
    unnamed.rename(path)
    return file


def _lock(file: FileIO) -> bool:
    try:
        flock(file, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _notes(text: bytes) -> dict[str, Record]:
    """Notes as written; those of a process that died while writing them are lost."""
    try:
        return _NOTES.validate_json(text)
    except ValidationError:
        return {}
