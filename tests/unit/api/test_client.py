from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from worker.account import Endpoint
from worker.api.client import Client

if TYPE_CHECKING:
    from pathlib import Path


def client(
    url: str = "https://api.example.com/aivoice",
    key: str = "key",
    proxy: str | None = None,
    ca_file: str | None = None,
) -> Client:
    return Client(Endpoint(url, proxy=proxy, ca_file=ca_file), key, SecretStr("canary-secret"))


def test_a_client_can_be_made_and_closed_without_a_network() -> None:
    made = client()
    made.close()
    made.close()
    assert "canary-secret" not in repr(made)


@pytest.mark.parametrize("key", ["", "a b", "a\r\nX: y", "a\n", "ключ", "a\x00"])
def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ValueError, match="API key") as caught:
        client(key=key)
    assert not key or key not in str(caught.value)


@pytest.mark.parametrize("url", ["", "api.example.com", "ftp://api.example.com", "https://"])
def test_a_url_that_cannot_be_used_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="https://"):
        client(url=url)


@pytest.mark.parametrize("proxy", ["proxy.example", "proxy.example:3128", "socks5://proxy:1080"])
def test_a_proxy_that_cannot_be_used_is_refused(proxy: str) -> None:
    with pytest.raises(ValueError, match="http://host:port"):
        client(proxy=proxy)


def test_a_ca_file_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    absent, empty = tmp_path / "absent.pem", tmp_path / "empty.pem"
    empty.write_text("no certificate")
    with pytest.raises(ValueError, match=r"absent\.pem cannot be used \(No such file"):
        client(ca_file=str(absent))
    with pytest.raises(ValueError, match=r"empty\.pem cannot be used"):
        client(ca_file=str(empty))


def test_an_empty_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="API secret is empty"):
        Client(Endpoint("https://api.example.com/aivoice"), "key", SecretStr(""))
