"""Notes may be lost, edits may not: what is wrong with the state folder stops nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.acceptance.kit import edit, publish, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.conftest import NewWorker
    from tests.acceptance.kit import Subscriber


def test_a_state_folder_that_cannot_be_had_is_told_and_the_worker_serves(
    amqp_url: str, namespace: str, new_worker: NewWorker, events: Subscriber, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    ids = publish(amqp_url, namespace, [edit(job) for job in range(1, 11)])

    worker = new_worker(STATE_DIR=str(tmp_path / "file" / "state"))

    until(lambda: len(events.take()) >= len(ids))
    assert events.settled() == dict.fromkeys(ids, "applied")
    status, text = worker.asked("/readyz")
    assert (status, text.splitlines()[0]) == (200, "ok")
    assert "note: the state folder cannot be used" in text
    assert "\ntaskedit_state_folder_usable 0.0" in worker.asked("/metrics")[1]
    assert len(worker.lines("state_folder_unusable")) == 1
    assert worker.stop() == 0
