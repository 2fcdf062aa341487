"""Certificates, and clients that end with their test."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

import pytest
import trustme
from pydantic import SecretStr

from worker.account import Endpoint
from worker.api.client import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY, SECRET = "bDqJFiq9", "7bz1lzh9"
TIMESTAMP = 1630468800
EDIT = b'{"appId":"LILIN888","jobId":123}'


class NewClient(Protocol):
    """Makes a client for a URL; the seconds are its timeouts."""

    def __call__(
        self,
        url: str,
        *,
        connect: float = 5.0,
        call: float = 10.0,
        proxy: str | None = None,
        ca_file: str | None = None,
    ) -> Client: ...


def endpoint(
    url: str,
    *,
    connect: float = 5.0,
    call: float = 10.0,
    proxy: str | None = None,
    ca_file: str | None = None,
) -> Endpoint:
    """How to reach a URL."""
    return Endpoint(url, timedelta(seconds=connect), timedelta(seconds=call), proxy, ca_file)


@pytest.fixture
def new_client() -> Iterator[NewClient]:
    made: list[Client] = []

    def client(
        url: str,
        *,
        connect: float = 5.0,
        call: float = 10.0,
        proxy: str | None = None,
        ca_file: str | None = None,
    ) -> Client:
        way = endpoint(url, connect=connect, call=call, proxy=proxy, ca_file=ca_file)
        made.append(Client(way, KEY, SecretStr(SECRET)))
        return made[-1]

    yield client
    for each in made:
        each.close()


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority of the tests' own."""

    ca: trustme.CA
    file: str

    def server(self, certificate: trustme.LeafCert | None = None) -> ssl.SSLContext:
        """A server's TLS settings, with a good certificate unless another is given."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        (certificate or self.ca.issue_cert("127.0.0.1")).configure_cert(context)
        return context


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    ca = trustme.CA()
    file = tmp_path_factory.mktemp("authority") / "ca.pem"
    ca.cert_pem.write_to_path(str(file))
    return Authority(ca, str(file))
