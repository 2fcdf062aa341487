"""Ways not to reach the API, each told in a sentence."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from tests.contract.api.conftest import EDIT, TIMESTAMP
from tests.contract.api.peer import Peer, keeps_answering
from worker.core.reply import Answered, Unanswered

if TYPE_CHECKING:
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


def test_nobody_accepts(new_client: NewClient) -> None:
    """A full backlog: the kernel drops further SYNs, as a firewall would."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(address)
        reply = new_client(f"http://127.0.0.1:{address[1]}/x", connect=0.3).call(EDIT, TIMESTAMP)
        for sock in waiting:
            sock.close()
    assert reply == Unanswered(
        f"no connection to 127.0.0.1:{address[1]} within 0.3 s; check the network and the firewall"
    )


def test_an_address_that_refuses_does_not_hide_the_next(new_client: NewClient) -> None:
    """`localhost` is ::1 and 127.0.0.1 on most machines; the peer has the second only."""
    with Peer(keeps_answering) as peer:
        client = new_client(f"http://localhost:{peer.port}/x")
        assert client.call(EDIT, TIMESTAMP) == Answered("0", "success")


def test_a_peer_that_comes_back_is_used_again(new_client: NewClient, port: int) -> None:
    client = new_client(f"http://127.0.0.1:{port}/x")
    assert isinstance(client.call(EDIT, TIMESTAMP), Unanswered)
    with Peer(keeps_answering, port=port):
        assert client.call(EDIT, TIMESTAMP) == Answered("0", "success")
    assert isinstance(client.call(EDIT, TIMESTAMP), Unanswered)
    with Peer(keeps_answering, port=port):
        assert client.call(EDIT, TIMESTAMP) == Answered("0", "success")
