"""Who the client talks to, and what it says when that is somebody else."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from typing import TYPE_CHECKING

import pytest
import trustme

from tests.contract.api.conftest import EDIT, SECRET, TIMESTAMP, endpoint
from tests.contract.api.peer import OK, Peer, Talk, keeps_answering
from worker.api.probe import probe
from worker.core.reply import Answered, Unanswered

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.contract.api.conftest import Authority, NewClient

YEAR = timedelta(days=365)


def of_another_name(ca: trustme.CA) -> trustme.LeafCert:
    return ca.issue_cert("api.example.com", "127.0.0.2")


def expired(ca: trustme.CA) -> trustme.LeafCert:
    then = datetime.now(UTC) - YEAR
    return ca.issue_cert("127.0.0.1", not_before=then - YEAR, not_after=then)


def not_yet_valid(ca: trustme.CA) -> trustme.LeafCert:
    then = datetime.now(UTC) + YEAR
    return ca.issue_cert("127.0.0.1", not_before=then, not_after=then + YEAR)


def of_another_authority(_: trustme.CA) -> trustme.LeafCert:
    return trustme.CA().issue_cert("127.0.0.1")


@pytest.mark.parametrize(
    ("certificate", "why", "remedy"),
    [
        (of_another_name, "is for another name", "check the API's URL"),
        (expired, "has expired", "check this machine's clock"),
        (not_yet_valid, "is not valid yet", "check this machine's clock"),
        (of_another_authority, "not trusted here", "name its file as the CA file"),
    ],
)
def test_a_bad_certificate_is_refused_with_what_to_do(
    certificate: Callable[[trustme.CA], trustme.LeafCert],
    why: str,
    remedy: str,
    authority: Authority,
    new_client: NewClient,
) -> None:
    with Peer(keeps_answering, authority.server(certificate(authority.ca))) as peer:
        client = new_client(peer.url, ca_file=authority.file)
        reply = client.call(EDIT, TIMESTAMP)
        assert isinstance(reply, Unanswered)
        assert why in reply.detail
        assert remedy in reply.detail
        assert f"127.0.0.1:{peer.port}" in reply.detail
        assert SECRET not in reply.detail
        assert peer.requests == []
        assert not probe(endpoint(peer.url, ca_file=authority.file)).reached


def test_without_a_ca_file_the_worlds_authorities_are_trusted_and_ours_is_not(
    authority: Authority, new_client: NewClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, authority.file)  # trust is a setting, not the environment's
    with Peer(keeps_answering, authority.server()) as peer:
        reply = new_client(peer.url).call(EDIT, TIMESTAMP)
    assert isinstance(reply, Unanswered)
    assert "not trusted here" in reply.detail


def test_a_host_name_is_verified_and_sent_along(
    authority: Authority, new_client: NewClient
) -> None:
    context = authority.server(authority.ca.issue_cert("localhost"))
    names: list[str | None] = []
    context.sni_callback = lambda _sock, name, _context: names.append(name)
    with Peer(keeps_answering, context) as peer:
        client = new_client(f"https://localhost:{peer.port}/x", ca_file=authority.file)
        assert client.call(EDIT, TIMESTAMP) == Answered("0", "success")
        assert f"Host: localhost:{peer.port}\r\n".encode() in peer.requests[0]
    assert names == ["localhost"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_either_version_of_tls_keeps_its_connection(
    version: ssl.TLSVersion, authority: Authority, new_client: NewClient
) -> None:
    context = authority.server()
    context.minimum_version = context.maximum_version = version
    with Peer(keeps_answering, context) as peer:
        client = new_client(peer.url, ca_file=authority.file)
        assert [client.call(EDIT, TIMESTAMP) for _ in range(5)] == [Answered("0", "success")] * 5
        assert peer.connections == 1


def test_what_tls_itself_says_between_calls_does_not_cost_the_connection(
    authority: Authority, new_client: NewClient
) -> None:
    """Here it asks for a client's certificate, which need not be given."""
    idle, asked = Event(), Event()

    def script(talk: Talk) -> None:
        talk.hear()
        talk.say(OK)
        idle.wait(10)
        assert isinstance(talk.sock, ssl.SSLSocket)
        talk.sock.verify_client_post_handshake()
        talk.sock.do_handshake()
        asked.set()
        keeps_answering(talk)

    context = authority.server()
    context.post_handshake_auth = True
    context.verify_mode = ssl.CERT_OPTIONAL
    with Peer(script, context) as peer:
        client = new_client(peer.url, ca_file=authority.file)
        assert client.call(EDIT, TIMESTAMP) == Answered("0", "success")
        idle.set()
        asked.wait(10)
        assert client.call(EDIT, TIMESTAMP) == Answered("0", "success")
        assert peer.connections == 1


def test_a_peer_without_tls_is_told_apart(new_client: NewClient) -> None:
    def script(talk: Talk) -> None:
        talk.sock.recv(100)
        talk.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with Peer(script) as peer:
        reply = new_client(f"https://127.0.0.1:{peer.port}/x").call(EDIT, TIMESTAMP)
    assert isinstance(reply, Unanswered)
    assert "is it an https address?" in reply.detail


def test_a_peer_that_wants_tls_is_told_apart(authority: Authority, new_client: NewClient) -> None:
    with Peer(keeps_answering, authority.server()) as peer:
        reply = new_client(f"http://127.0.0.1:{peer.port}/x", call=5).call(EDIT, TIMESTAMP)
    assert isinstance(reply, Unanswered)


def test_a_handshake_that_stalls_ends_in_time(new_client: NewClient) -> None:
    with Peer(lambda talk: talk.stay()) as peer:
        reply = new_client(f"https://127.0.0.1:{peer.port}/x", connect=0.3).call(EDIT, TIMESTAMP)
    assert isinstance(reply, Unanswered)
    assert "no connection to 127.0.0.1" in reply.detail
    assert "within 0.3 s" in reply.detail


class Relay:
    """Passes connections on to a port; what comes back byte by byte, `pause` seconds apart."""

    def __init__(self, port: int, pause: float) -> None:
        self.port = port
        self.pause = pause

    def __call__(self, talk: Talk) -> None:
        with socket.create_connection(("127.0.0.1", self.port)) as far:
            there = Thread(target=self._forth, args=(talk.sock, far), daemon=True)
            there.start()
            while data := far.recv(65536):
                for i in range(len(data)):
                    talk.drip([data[i : i + 1]], self.pause)
            there.join(10)

    def _forth(self, near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError):
            while data := near.recv(65536):
                far.sendall(data)
            far.shutdown(socket.SHUT_WR)


def test_tls_in_single_bytes_is_read_and_a_drip_ends_in_time(
    authority: Authority, new_client: NewClient
) -> None:
    with Peer(keeps_answering, authority.server()) as peer:
        relay = Relay(peer.port, 0)
        with Peer(relay) as near:
            client = new_client(
                f"https://127.0.0.1:{near.port}/x", call=0.5, ca_file=authority.file
            )
            assert client.call(EDIT, TIMESTAMP) == Answered("0", "success")
            relay.pause = 0.1
            assert client.call(EDIT, TIMESTAMP) == Unanswered("no whole reply within 0.5 s")
            assert near.connections == 1


def test_a_handshake_in_single_bytes_ends_in_time(
    authority: Authority, new_client: NewClient
) -> None:
    with Peer(keeps_answering, authority.server()) as peer, Peer(Relay(peer.port, 0.1)) as near:
        client = new_client(f"https://127.0.0.1:{near.port}/x", connect=0.3, ca_file=authority.file)
        reply = client.call(EDIT, TIMESTAMP)
    assert isinstance(reply, Unanswered)
    assert "within 0.3 s" in reply.detail
