"""Notes that outlive the process: who was being called when it died."""

from __future__ import annotations

import json
import os
import stat
from fcntl import flock
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from tests.unit.builders import delivery, properties
from worker.pipeline.poison import DEATHS_BEFORE_ALONE, CrashLedger, Record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.core.message import Delivery


def edit(name: str = "culprit", *, redelivered: bool = True) -> Delivery:
    return delivery(redelivered=redelivered, properties=properties(message_id=name))


CULPRIT = edit()
NEIGHBOUR = edit("neighbour")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


def die(suspects: CrashLedger) -> None:
    """The process ends as by SIGKILL: its lock goes, its file stays."""
    file = suspects._file  # noqa: SLF001
    assert file is not None
    file.close()


def died_calling(folder: Path, *edits: Delivery, times: int = 1, alone: bool = False) -> None:
    for _ in range(times):
        process = CrashLedger(folder)
        for each in edits:
            process.begin(each, alone=alone)
        die(process)


def died_alone(folder: Path, victim: Delivery, *, survivors: int) -> None:
    """A process in which so many calls of others return, and which ends at a lone edit's."""
    process = CrashLedger(folder)
    for number in range(survivors):
        process.end(edit(f"good-{number}", redelivered=False))
    process.begin(victim, alone=True)
    die(process)


def known(folder: Path, wanted: Delivery = CULPRIT) -> Record:
    process = CrashLedger(folder)
    found = process.known(wanted)
    die(process)
    return found


@pytest.mark.parametrize(
    ("times", "times_alone", "runs_alone", "is_poison"),
    [
        (0, 0, False, False),
        (1, 0, False, False),
        (2, 0, True, False),
        (9, 0, True, False),
        (2, 2, True, False),
        (2, 3, True, True),
    ],
)
def test_two_deaths_make_an_edit_run_alone_and_three_more_while_alone_make_it_poison(
    folder: Path, times: int, times_alone: int, *, runs_alone: bool, is_poison: bool
) -> None:
    died_calling(folder, CULPRIT, NEIGHBOUR, times=times)
    for _ in range(times_alone):
        died_alone(folder, CULPRIT, survivors=1)

    found = known(folder)

    assert (found.deaths, found.deaths_alone) == (times, times_alone)
    assert (found.runs_alone, found.is_poison) == (runs_alone, is_poison)
    assert not known(folder, NEIGHBOUR).is_poison


def test_deaths_during_different_lone_edits_speak_for_the_environment(folder: Path) -> None:
    for _ in range(16):
        died_alone(folder, CULPRIT, survivors=0)
        died_alone(folder, NEIGHBOUR, survivors=0)

    assert not known(folder).is_poison
    assert not known(folder, NEIGHBOUR).is_poison


def test_a_lone_edit_is_no_poison_while_nothing_else_has_survived_in_its_place(
    folder: Path,
) -> None:
    for _ in range(16):
        died_alone(folder, CULPRIT, survivors=0)

    assert not known(folder).is_poison
    died_alone(folder, CULPRIT, survivors=1)
    assert known(folder).is_poison


def test_two_poisons_are_both_found_where_others_survive(folder: Path) -> None:
    for _ in range(4):
        died_alone(folder, CULPRIT, survivors=5)
        died_alone(folder, NEIGHBOUR, survivors=5)

    assert known(folder).is_poison
    assert known(folder, NEIGHBOUR).is_poison


def test_a_suspect_lets_others_go_first_every_other_time(folder: Path) -> None:
    first = []
    for _ in range(4):
        died_alone(folder, CULPRIT, survivors=0)
        first.append(known(folder).lets_others_first)

    assert first == [True, False, True, False]


def test_an_edit_that_was_not_being_called_has_no_share_in_a_death(folder: Path) -> None:
    process = CrashLedger(folder)
    process.begin(CULPRIT, alone=False)
    process.begin(NEIGHBOUR, alone=False)
    process.end(NEIGHBOUR)
    die(process)

    assert known(folder).deaths == 1
    assert known(folder, NEIGHBOUR) == Record()


def test_an_edit_whose_call_returned_is_cleared_of_everything(folder: Path) -> None:
    died_calling(folder, CULPRIT, times=2)
    process = CrashLedger(folder)
    process.begin(CULPRIT, alone=True)
    process.end(CULPRIT)
    die(process)

    assert known(folder) == Record()


def test_only_redelivered_edits_are_noted(folder: Path) -> None:
    first = edit(redelivered=False)
    died_calling(folder, first, times=5)

    assert known(folder) == Record()
    died_calling(folder, CULPRIT, times=2)
    assert known(folder, first) == Record()
    assert known(folder, CULPRIT).deaths == 2


def test_another_body_is_another_edit(folder: Path) -> None:
    died_calling(folder, CULPRIT, times=2)

    other = delivery(b"{}", redelivered=True, properties=CULPRIT.properties)

    assert known(folder, other) == Record()


def test_a_clean_end_leaves_nothing(folder: Path) -> None:
    process = CrashLedger(folder)
    process.begin(CULPRIT, alone=False)
    process.end(CULPRIT)

    process.close()

    assert list(folder.iterdir()) == []


def test_a_clean_end_in_the_middle_of_a_call_holds_nothing_against_it(folder: Path) -> None:
    process = CrashLedger(folder)
    process.begin(CULPRIT, alone=False)

    process.close()

    assert known(folder) == Record()


def test_nor_does_it_when_something_is_known_against_it_already(folder: Path) -> None:
    died_calling(folder, CULPRIT)
    process = CrashLedger(folder)
    process.begin(CULPRIT, alone=False)

    process.close()

    assert known(folder).deaths == 1


def test_a_clean_end_keeps_what_is_known_of_edits_that_it_never_called(folder: Path) -> None:
    died_calling(folder, CULPRIT, times=2)

    CrashLedger(folder).close()

    assert known(folder).runs_alone


def test_the_notes_of_a_living_process_are_left_alone(folder: Path) -> None:
    living = CrashLedger(folder)
    living.begin(CULPRIT, alone=False)

    assert known(folder) == Record()

    die(living)
    assert known(folder).deaths == 1


def test_notes_of_several_dead_processes_are_taken_over_once(folder: Path) -> None:
    one, two = CrashLedger(folder), CrashLedger(folder)
    one.begin(CULPRIT, alone=False)
    two.begin(NEIGHBOUR, alone=False)
    die(one)
    die(two)

    heir = CrashLedger(folder)

    assert heir.known(CULPRIT).deaths == heir.known(NEIGHBOUR).deaths == 1
    assert len(list(folder.iterdir())) == 1
    die(heir)


def test_a_process_that_starts_does_not_take_a_file_that_another_is_just_making(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between making a file and locking it, it looks like one that a dead process has left."""
    others: list[CrashLedger] = []

    def lock(file: IO[str], operation: int) -> None:
        monkeypatch.undo()
        others.append(CrashLedger(folder))
        flock(file, operation)

    monkeypatch.setattr("worker.pipeline.poison.flock", lock)
    process = CrashLedger(folder)
    process.begin(CULPRIT, alone=False)
    die(process)

    [other] = others
    die(other)
    assert known(folder).deaths == 1


GARBAGE = {
    "empty": b"",
    "no JSON": b'{"half',
    "no text": b"\xff\xfe\x00",
    "a list": b"[1, 2]",
    "no record": b'{"a": 1}',
    "unknown fields": b'{"a": {"deaths": 1, "future": 2}}',
    "wrong types": b'{"a": {"deaths": "many", "calling": true}}',
    "nested": b"[" * 100_000,
}


@pytest.mark.parametrize("content", GARBAGE.values(), ids=GARBAGE)
def test_garbage_in_a_file_of_notes_is_no_reason_not_to_start(folder: Path, content: bytes) -> None:
    died_calling(folder, CULPRIT, times=2)
    (folder / "calling-other.json").write_bytes(content)

    assert known(folder).deaths == 2
    assert not (folder / "calling-other.json").exists()


def test_what_cannot_be_opened_is_passed_over(folder: Path) -> None:
    died_calling(folder, CULPRIT, times=2)
    (folder / "calling-other.json").mkdir()

    assert known(folder).deaths == 2


def test_the_notes_quote_nothing_of_an_edit(folder: Path) -> None:
    process = CrashLedger(folder)
    process.begin(CULPRIT, alone=False)

    [path] = folder.iterdir()
    [name] = json.loads(path.read_text())

    assert len(name) == 64
    assert not [part for part in leaked(CULPRIT) if part in path.read_text()]
    die(process)


def leaked(message: Delivery) -> Iterator[str]:
    yield "culprit"
    yield message.routing_key
    yield message.body.decode()


def test_a_folder_that_cannot_be_made_is_told_and_gone_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with capture_logs() as logged:
        process = CrashLedger(tmp_path / "file" / "inside")
        process.begin(CULPRIT, alone=False)
        process.end(CULPRIT)
        process.close()

    assert process.trouble is not None
    assert [line["event"] for line in logged] == ["state_folder_unusable"]


def test_a_full_disk_is_told_once_and_until_it_is_over(folder: Path) -> None:
    process = CrashLedger(folder)
    file = process._file  # noqa: SLF001
    with Path("/dev/full").open("r+b", buffering=0) as full, capture_logs() as logged:
        process._file = full  # noqa: SLF001
        process.begin(CULPRIT, alone=False)
        process.begin(NEIGHBOUR, alone=False)
        told = process.trouble
    process._file = file  # noqa: SLF001
    process.begin(NEIGHBOUR, alone=False)

    assert told is not None
    assert [line["event"] for line in logged] == ["state_folder_unusable"]
    assert process.trouble is None
    assert process.known(CULPRIT).calling
    die(process)


def test_notes_in_a_folder_that_others_can_write_to_are_not_believed(folder: Path) -> None:
    died_calling(folder, CULPRIT, times=DEATHS_BEFORE_ALONE)
    folder.chmod(0o777)

    process = CrashLedger(folder)
    found, trouble = process.known(CULPRIT), process.trouble
    die(process)

    assert not found.runs_alone
    assert trouble is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of another user")
def test_notes_of_another_user_are_not_believed(folder: Path) -> None:
    died_calling(folder, CULPRIT, times=DEATHS_BEFORE_ALONE)
    for path in (folder, *folder.iterdir()):
        os.chown(path, 12345, 12345)

    assert not known(folder).runs_alone


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of another user")
def test_a_forged_note_in_a_folder_of_ours_is_not_believed(folder: Path) -> None:
    died_calling(folder, CULPRIT, times=DEATHS_BEFORE_ALONE)
    for path in folder.iterdir():
        os.chown(path, 12345, 12345)

    assert not known(folder).runs_alone


def test_a_folder_of_our_own_among_others_keeps_what_we_note(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)

    died_calling(folder, CULPRIT, times=DEATHS_BEFORE_ALONE)

    assert known(folder).runs_alone
    assert [stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()] == [0o700]
