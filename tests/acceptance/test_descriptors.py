from __future__ import annotations

import resource
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from worker.observability.http import RESERVED

if TYPE_CHECKING:
    from tests.acceptance.conftest import NewWorker


def test_a_process_without_descriptors_still_answers_its_probes(new_worker: NewWorker) -> None:
    worker = new_worker()
    assert worker.process is not None
    pid = worker.process.pid
    open_now = {int(found.name) for found in Path(f"/proc/{pid}/fd").iterdir()}
    limit = max(open_now) + 1
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, limit))
    with ExitStack() as stack:
        for _ in range(limit - len(open_now) + RESERVED + 1):  # what is left, and more
            stack.enter_context(socket.create_connection(("127.0.0.1", worker.port)))
        assert [worker.asked("/livez")[0] for _ in range(20)] == [200] * 20
