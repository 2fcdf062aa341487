from __future__ import annotations

import pytest
import requests

from worker.api.adapter import head
from worker.api.client import prepared
from worker.api.connect import Route


def lines(
    url: str,
    headers: dict[str, str] | None = None,
    method: str = "POST",
    proxy: str | None = None,
) -> list[str]:
    request = prepared(method, url, headers)
    text = head(request, b"{}", Route.of(str(request.url), proxy)).decode("latin-1")
    return text.removesuffix("\r\n\r\n").split("\r\n")


def test_a_head_is_request_line_host_and_headers() -> None:
    first, host, *rest = lines("https://api.example.com/aivoice/taskEdit", {"Api-Key": "k"})
    assert first == "POST /aivoice/taskEdit HTTP/1.1"
    assert host == "Host: api.example.com"
    assert "Api-Key: k" in rest
    assert "Accept-Encoding: identity" in rest
    assert "Content-Length: 2" in rest


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://api.example.com/x", "api.example.com"),
        ("https://api.example.com:443/x", "api.example.com"),
        ("https://api.example.com:8443/x", "api.example.com:8443"),
        ("http://api.example.com:80/x", "api.example.com"),
        ("http://api.example.com:443/x", "api.example.com:443"),
        ("http://user:word@api.example.com/x", "api.example.com"),
        ("https://[::1]:8443/x", "[::1]:8443"),
        ("https://bücher.example/x", "xn--bcher-kva.example"),
    ],
)
def test_the_host_of_a_url(url: str, host: str) -> None:
    assert f"Host: {host}" in lines(url)


def test_no_path_is_the_root() -> None:
    assert lines("https://api.example.com", method="HEAD")[0] == "HEAD / HTTP/1.1"


@pytest.mark.parametrize("url", ["", "api.example.com", "http://", "https://a b/", "http://x:y/"])
def test_a_url_that_cannot_be_used_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="https://"):
        prepared("POST", url)


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nb", "a\rb", "a\x00b", "a\x7f", "ключ"])
def test_a_header_that_would_break_out_of_its_line_is_refused_without_showing_it(
    value: str,
) -> None:
    request = prepared("POST", "https://api.example.com/x")
    request.headers["Api-Key"] = value  # behind the back of requests, which checks too
    with pytest.raises(requests.exceptions.InvalidHeader) as caught:
        head(request, b"", Route.of(str(request.url)))
    assert value not in str(caught.value)


def test_a_proxy_is_asked_for_the_whole_address_and_told_who_asks() -> None:
    first, *rest = lines("http://api.example.com:81/x", proxy="http://us%40er:w%3Ard@proxy:3128")
    assert first == "POST http://api.example.com:81/x HTTP/1.1"
    assert "Proxy-Authorization: Basic dXNAZXI6dzpyZA==" in rest
    first, *rest = lines("https://api.example.com/x", proxy="http://user:word@proxy:3128")
    assert first == "POST /x HTTP/1.1"
    assert not any("Proxy-Authorization" in line for line in rest)
