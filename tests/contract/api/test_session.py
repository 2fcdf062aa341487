"""What our adapter does for a session that asks for more than the client needs."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import requests
import requests.adapters
from urllib3 import Timeout

from tests.contract.api.peer import Peer, keeps_answering
from worker.api.adapter import DeadlineAdapter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contract.api.conftest import Authority


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as made:
        made.trust_env = False
        for prefix in ("http://", "https://"):
            made.mount(prefix, DeadlineAdapter(timedelta(seconds=5), timedelta(seconds=10)))
        yield made


def test_verification_cannot_be_switched_off(session: requests.Session, port: int) -> None:
    with pytest.raises(ValueError, match="does not switch the verification of TLS off"):
        session.get(f"https://127.0.0.1:{port}/", verify=False)


@pytest.mark.parametrize("timeout", [None, 5, 5.0, (5, 0.3), (None, 0.3), (5, None)])
def test_a_timeout_is_for_both_or_for_each(
    session: requests.Session, timeout: float | tuple[float | None, float | None] | None
) -> None:
    with Peer(keeps_answering) as peer:
        assert session.get(peer.url, timeout=timeout).ok


def test_a_timeout_of_another_kind_is_refused(session: requests.Session) -> None:
    with pytest.raises(TypeError, match="a timeout is seconds"), Peer(keeps_answering) as peer:
        session.get(peer.url, timeout=Timeout(5))  # type: ignore[arg-type]


def test_another_ca_file_goes_the_stock_way(
    session: requests.Session, authority: Authority
) -> None:
    with Peer(keeps_answering, authority.server()) as peer:
        assert session.get(peer.url, verify=authority.file).ok
        with pytest.raises(requests.exceptions.SSLError):
            session.get(peer.url)


def test_a_proxy_goes_the_stock_way(session: requests.Session) -> None:
    with Peer(keeps_answering) as proxy:
        proxies = {"http": f"http://127.0.0.1:{proxy.port}"}
        assert session.get("http://api.invalid/x", proxies=proxies).ok
        assert proxy.requests[0].startswith(b"GET http://api.invalid/x HTTP/1.1")


def test_a_streamed_upload_goes_the_stock_way(session: requests.Session) -> None:
    with Peer(keeps_answering) as peer:
        body: Iterator[bytes] = iter([])
        assert session.post(peer.url, data=body).ok
        assert b"Transfer-Encoding: chunked" in peer.requests[0]


def test_a_connection_is_kept_for_its_host_alone(session: requests.Session) -> None:
    with Peer(keeps_answering) as one, Peer(keeps_answering) as other:
        for _ in range(3):
            assert session.get(one.url).ok
            assert session.get(other.url).ok
        assert (one.connections, other.connections) == (1, 1)
