"""Ways not to reach the API, each told in a sentence."""

from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from time import monotonic
from typing import TYPE_CHECKING

import pytest
from requests.exceptions import RequestException

from tests.contract.api.conftest import EDIT, TIMESTAMP
from tests.contract.api.peer import Peer, keeps_answering
from worker.api.connect import Attempt, first_that_accepts
from worker.core.reply import Answered, Unanswered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contract.api.conftest import NewClient


def test_nobody_listens(new_client: NewClient, port: int) -> None:
    reply = new_client(f"http://127.0.0.1:{port}/x").call(EDIT, TIMESTAMP)
    assert reply == Unanswered(f"no connection to 127.0.0.1:{port} (Connection refused)")


def test_a_name_that_leads_nowhere(new_client: NewClient) -> None:
    reply = new_client("https://api.invalid/x").call(EDIT, TIMESTAMP)
    assert isinstance(reply, Unanswered)
    assert "the name api.invalid cannot be resolved" in reply.detail
    assert "check the API's URL and the DNS" in reply.detail


def test_a_name_that_is_none(new_client: NewClient) -> None:
    label = "x" * 64
    reply = new_client(f"http://{label}.example/x").call(EDIT, TIMESTAMP)
    assert isinstance(reply, Unanswered)
    assert "not a host name" in reply.detail


@contextmanager
def silent(address: str, port: int) -> Iterator[None]:
    """A full backlog: the kernel drops further SYNs, as a firewall would."""
    with ExitStack() as stack:
        stack.enter_context(socket.create_server((address, port), backlog=0))
        for _ in range(4):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex((address, port))
        yield


def test_nobody_accepts(new_client: NewClient, port: int) -> None:
    with silent("127.0.0.1", port):
        reply = new_client(f"http://127.0.0.1:{port}/x", connect=0.3).call(EDIT, TIMESTAMP)
    assert reply == Unanswered(
        f"no connection to 127.0.0.1:{port} within 0.3 s; check the network and the firewall"
    )


def test_an_address_that_refuses_or_stays_silent_does_not_hide_the_next() -> None:
    with Peer(keeps_answering) as peer, silent("127.0.0.3", peer.port):

        def attempt(seconds: float) -> Attempt:
            return Attempt("api.example.com:443", seconds, monotonic() + seconds)

        addresses = ["127.0.0.2", "127.0.0.3", "127.0.0.1"]
        with first_that_accepts(addresses, peer.port, attempt(1.0)) as sock:
            assert sock.getpeername() == ("127.0.0.1", peer.port)
        with pytest.raises(RequestException, match=r"within 0\.2 s"):
            first_that_accepts(addresses[:2], peer.port, attempt(0.2))
        with pytest.raises(RequestException, match="refused"):
            first_that_accepts(addresses[:1], peer.port, attempt(0.2))


def test_a_peer_that_comes_back_is_used_again(new_client: NewClient, port: int) -> None:
    client = new_client(f"http://127.0.0.1:{port}/x")
    assert isinstance(client.call(EDIT, TIMESTAMP), Unanswered)
    with Peer(keeps_answering, port=port):
        assert client.call(EDIT, TIMESTAMP) == Answered("0", "success")
    assert isinstance(client.call(EDIT, TIMESTAMP), Unanswered)
    with Peer(keeps_answering, port=port):
        assert client.call(EDIT, TIMESTAMP) == Answered("0", "success")


LIMITED = """
import resource, sys
from pathlib import Path
from pydantic import SecretStr
from tests.contract.api.conftest import EDIT, TIMESTAMP, endpoint
from worker.api.client import Client

kind, url = sys.argv[1:]
client = Client(endpoint(url), "key", SecretStr("secret"))
if kind == "descriptors":
    most = max(int(found.name) for found in Path("/proc/self/fd").iterdir())
    limit, left = resource.RLIMIT_NOFILE, most  # one of those it lists is gone by now
else:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit, left = resource.RLIMIT_AS, pages * resource.getpagesize() + 4 * 2**20
resource.setrlimit(limit, (left, left))
print(type(client.call(EDIT, TIMESTAMP)).__name__)
"""


@pytest.mark.parametrize("host", ["127.0.0.1", "api.invalid"])
@pytest.mark.parametrize("kind", ["descriptors", "threads"])
def test_what_this_machine_lacks_for_a_connection_says_nothing_of_the_api(
    kind: str, host: str
) -> None:
    with Peer(keeps_answering) as peer:
        ended = subprocess.run(
            (sys.executable, "-c", LIMITED, kind, f"http://{host}:{peer.port}/x"),
            capture_output=True,
            text=True,
            check=False,
        )
    assert ended.stdout == "Shortage\n", ended.stderr
