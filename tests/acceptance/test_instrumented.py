"""The running worker calls through requests: whatever instruments requests sees each call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.acceptance.kit import edit, publish, until
from tests.contract.api.peer import Peer, keeps_answering

if TYPE_CHECKING:
    from tests.acceptance.conftest import NewWorker
    from tests.acceptance.kit import Subscriber


@pytest.mark.parametrize("proxied", [False, True])
def test_each_call_passes_the_session_of_requests_and_our_adapter(
    proxied: bool, amqp_url: str, namespace: str, new_worker: NewWorker, events: Subscriber
) -> None:
    with Peer(keeps_answering) as proxy:
        settings = {"HTTP_PROXY": f"http://127.0.0.1:{proxy.port}"} if proxied else {}
        worker = new_worker(ready=False, **settings)
        worker.kill()
        worker.arguments = ("-m", "tests.acceptance.instrumented", "run")
        worker.start()
        ids = publish(amqp_url, namespace, [edit(n) for n in (1, 2, 3)])
        until(lambda: events.settled() == dict.fromkeys(ids, "applied"))
        sent = [line for line in worker.log.read_text().splitlines() if line.startswith("sent ")]
        assert sent == ["sent POST 200 BoundedAdapter"] * 3
        by_proxy = [b"\r\nX-Seen: yes\r\n" in request for request in proxy.requests]
        assert by_proxy == [True] * (3 if proxied else 0)
