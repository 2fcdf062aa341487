from __future__ import annotations

import asyncio
import hashlib
import http.client
import socket
from time import monotonic
from typing import TYPE_CHECKING

import pytest
import requests
import trustme
from starlette.requests import Request

from tests.contract.console.conftest import LOOPBACK, SAME_ORIGIN
from worker.console.access import (
    IDLE_SESSION,
    LONGEST_SESSION,
    SESSION_COOKIE,
    Access,
    password_hash,
)
from worker.settings.console import ConsoleSettings, Token, User

if TYPE_CHECKING:
    from pathlib import Path

    from tests.contract.console.conftest import Running, StartConsole

KEY = "0" * 32
PAGES = [
    "/",
    "/accounts/acme",
    "/dead",
    "/dead/letters",
    f"/dead/letters/{KEY}",
    f"/dead/letters/{KEY}/body",
    f"/dead/letters/{KEY}/mend",
    "/operations",
    "/operations/op-0",
    "/jobs/123",
    "/search",
    "/events",
    "/check",
    "/live",
]
CHANGES = [
    ("/accounts/acme/pause", {"why": "INC-4711"}),
    ("/accounts/zeta/resume", {}),
    ("/plans?cause=c0ffee", {"action": "redrive"}),
    ("/plans", {"action": "discard", "key": KEY}),
    (f"/dead/letters/{KEY}/mend", {"body": "{}", "do": "plan"}),
    ("/operations/op-0/stop", {}),
    ("/operations/op-0/go-on", {}),
]
API_CHANGES = [
    "/api/v1/plans",
    "/api/v1/plans/plan-0/run",
    "/api/v1/operations/op-0/stop",
    "/api/v1/accounts/acme/pause",
    "/api/v1/accounts/acme/resume",
]
PASSWORD = "correct horse battery staple"


def with_users() -> ConsoleSettings:
    made = password_hash(PASSWORD)
    return ConsoleSettings(
        ("127.0.0.1", 0),
        LOOPBACK,
        users={"Li Wei": User("operator", made), "Ana": User("viewer", made)},
        tokens={
            hashlib.sha256(b"operators-token").hexdigest(): Token("deployer", "operator"),
            hashlib.sha256(b"viewers-token").hexdigest(): Token("grafana", "viewer"),
        },
    )


def raw(console: Running, method: str, path: str, headers: dict[str, str]) -> tuple[int, str]:
    """A request whose path and headers no client library has put right."""
    connection = http.client.HTTPConnection("127.0.0.1", console.port, timeout=10)
    connection.putrequest(method, path, skip_host=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    status, body = answer.status, answer.read().decode()
    connection.close()
    return status, body


@pytest.mark.parametrize("path", PAGES)
def test_a_stranger_is_led_to_sign_in_and_back(path: str, console: Running) -> None:
    stranger = console.browser(signed_in=False)

    answer = stranger.get(console.url + path, allow_redirects=False, timeout=10)

    assert answer.status_code == 303
    assert answer.headers["location"] == f"/sign-in?next={path}"
    assert not answer.content


@pytest.mark.parametrize(("path", "fields"), CHANGES)
def test_a_stranger_changes_nothing(path: str, fields: dict[str, str], console: Running) -> None:
    answer = console.browser(signed_in=False).post(console.url + path, fields, timeout=10)

    assert answer.status_code == 401
    assert console.source.asked == []


def test_the_code_signs_in_once_and_is_followed_by_another(
    console: Running, capfd: pytest.CaptureFixture[str]
) -> None:
    code = console.access.code
    first, second = console.browser(signed_in=False), console.browser(signed_in=False)

    answers = [
        one.post(
            f"{console.url}/sign-in", {"code": code.lower(), "next": "/dead"}, allow_redirects=False
        )
        for one in (first, second)
    ]

    assert [one.status_code for one in answers] == [303, 403]
    assert answers[0].headers["location"] == "/dead"
    cookie = answers[0].headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert first.get(console.url).status_code == 200
    assert console.access.code != code
    assert console.access.code in capfd.readouterr().out


def test_asking_for_the_page_with_the_code_uses_nothing_up(console: Running) -> None:
    code = console.access.code

    page = console.browser(signed_in=False).get(f"{console.url}/sign-in?code={code}", timeout=10)

    assert code in page.text
    assert console.access.code == code


def test_after_five_wrong_codes_the_right_one_has_to_wait(console: Running) -> None:
    browser = console.browser(signed_in=False)
    for _ in range(5):
        browser.post(f"{console.url}/sign-in", {"code": "AAAAA-AAAAA"}, timeout=10)

    answer = browser.post(f"{console.url}/sign-in", {"code": console.access.code}, timeout=10)

    assert answer.status_code == 403


def test_guesses_that_come_all_at_once_count_like_others() -> None:
    access = Access(with_users(), "http://127.0.0.1")

    async def guesses() -> list[object]:
        passwords = ["guess"] * 8 + [PASSWORD]
        return await asyncio.gather(*(access.sign_in("Li Wei", each, "") for each in passwords))

    assert asyncio.run(guesses()) == [None] * 9


def test_signing_out_ends_the_session_for_whoever_has_its_cookie(console: Running) -> None:
    browser = console.browser()
    cookie = browser.cookies[SESSION_COOKIE]

    browser.post(f"{console.url}/sign-out", timeout=10)

    thief = console.browser(signed_in=False)
    thief.cookies.set(SESSION_COOKIE, cookie)
    assert thief.get(console.url, allow_redirects=False, timeout=10).status_code == 303


async def begun_session(access: Access) -> str:
    found = await access.sign_in("", "", access.code)
    assert found is not None
    return found[0]


@pytest.mark.parametrize(
    ("seconds", "is_known"),
    [(IDLE_SESSION - 60, True), (IDLE_SESSION + 1, False), (LONGEST_SESSION + 1, False)],
)
def test_a_session_ends_by_itself(seconds: float, is_known: bool) -> None:
    access = Access(ConsoleSettings(("127.0.0.1", 0), LOOPBACK), "http://127.0.0.1")
    cookie = f"{SESSION_COOKIE}={asyncio.run(begun_session(access))}".encode()
    request = Request({"type": "http", "path": "/", "headers": [(b"cookie", cookie)]})

    assert (access.person(request, monotonic() + seconds) is not None) == is_known


def test_a_stream_that_stays_open_is_no_sign_that_somebody_is_there() -> None:
    access = Access(ConsoleSettings(("127.0.0.1", 0), LOOPBACK), "http://127.0.0.1")
    cookie = f"{SESSION_COOKIE}={asyncio.run(begun_session(access))}".encode()
    request = Request({"type": "http", "path": "/", "headers": [(b"cookie", cookie)]})

    later = monotonic() + IDLE_SESSION - 60

    assert access.person(request, later, is_new=False) is not None
    assert access.person(request, later + 120) is None


def test_a_password_signs_in_over_the_users_file(start_console: StartConsole) -> None:
    console = start_console(with_users())
    browser = console.browser(signed_in=False)

    wrong = browser.post(
        f"{console.url}/sign-in", {"name": "Li Wei", "password": "guess"}, timeout=30
    )
    nobody = browser.post(
        f"{console.url}/sign-in", {"name": "Eve", "password": PASSWORD}, timeout=30
    )
    browser.post(f"{console.url}/sign-in", {"name": "Li Wei", "password": PASSWORD}, timeout=30)

    assert (wrong.status_code, nobody.status_code) == (403, 403)
    assert "Li Wei, operator" in browser.get(console.url, timeout=10).text


def viewer(console: Running) -> requests.Session:
    browser = console.browser(signed_in=False)
    browser.post(f"{console.url}/sign-in", {"name": "Ana", "password": PASSWORD}, timeout=30)
    return browser


def test_a_viewer_sees_every_page_and_changes_nothing(start_console: StartConsole) -> None:
    console = start_console(with_users())
    browser = viewer(console)

    for path in PAGES[:-1]:
        page = browser.get(console.url + path, allow_redirects=False, timeout=10)
        assert page.status_code == 200, path
    for path, fields in CHANGES:
        answer = browser.post(console.url + path, fields, timeout=10)
        assert answer.status_code == 403, path
    for path in API_CHANGES:
        answer = browser.post(console.url + path, json={}, timeout=10)
        assert answer.status_code == 403, path
    assert console.source.asked == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {},
        {"Origin": "null"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://["},
        {"Referer": "http://127.0.0.1/"},
    ],
)
def test_what_did_not_come_from_our_page_changes_nothing(
    headers: dict[str, str], console: Running
) -> None:
    browser = console.browser()
    browser.headers.pop("Sec-Fetch-Site")

    for path, fields in CHANGES:
        answer = browser.post(console.url + path, fields, headers=headers, timeout=10)
        assert answer.status_code == 403, path
    assert console.source.asked == []


def test_an_old_browser_says_its_origin(console: Running) -> None:
    browser = console.browser()
    browser.headers.pop("Sec-Fetch-Site")

    answer = browser.post(
        f"{console.url}/accounts/acme/pause",
        {"why": "INC-4711"},
        headers={"Origin": console.url},
        timeout=10,
    )

    assert answer.status_code == 200
    assert [(each[0], each[2]) for each in console.source.asked] == [("pause", "acme")]


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:9465", "127.0.0.1.evil.example", ""]
)
def test_a_host_that_we_do_not_know_is_misdirected(host: str, console: Running) -> None:
    cookie = console.browser().cookies[SESSION_COOKIE]

    status, body = raw(console, "GET", "/", {"Host": host, "Cookie": f"{SESSION_COOKIE}={cookie}"})

    assert status == 421
    assert "globex" not in body


def test_two_hosts_are_none(console: Running) -> None:
    with socket.create_connection(("127.0.0.1", console.port), 10) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n")
        assert client.recv(100).split()[1] in {b"400", b"421"}


@pytest.mark.parametrize(
    "headers",
    [{"X-Forwarded-User": "Li Wei"}, {"X-Forwarded-User": "Li Wei", "X-Forwarded-For": "10.0.0.7"}],
)
def test_without_a_proxy_nobody_is_who_a_header_says(
    headers: dict[str, str], console: Running
) -> None:
    stranger = console.browser(signed_in=False)

    answer = stranger.get(console.url, headers=headers, allow_redirects=False, timeout=10)

    assert answer.status_code == 303


def proxied(address: tuple[str, int] | Path, *proxies: str) -> ConsoleSettings:
    operators = frozenset(("Li Wei", "李伟"))
    return ConsoleSettings(address, LOOPBACK, proxies=frozenset(proxies), operators=operators)


def test_a_proxy_at_its_address_says_who_it_is(start_console: StartConsole) -> None:
    console = start_console(proxied(("127.0.0.1", 0), "127.0.0.1"))
    browser = console.browser(signed_in=False)

    ours = browser.get(console.url, headers={"X-Forwarded-User": "Li Wei"}, timeout=10)
    other = browser.get(console.url, headers={"X-Forwarded-User": "Ana"}, timeout=10)

    assert "Li Wei, operator" in ours.text
    assert "Ana, viewer" in other.text
    assert browser.get(console.url, allow_redirects=False, timeout=10).status_code == 303


def test_a_name_that_a_proxy_writes_in_utf_8_is_read_so_and_any_other_is_nobodys(
    start_console: StartConsole,
) -> None:
    console = start_console(proxied(("127.0.0.1", 0), "127.0.0.1"))

    def asked(name: bytes) -> requests.Response:
        headers = {"X-Forwarded-User": name}
        browser = console.browser(signed_in=False)
        return browser.get(console.url, headers=headers, allow_redirects=False, timeout=10)

    assert "李伟, operator" in asked("李伟".encode()).text
    assert asked("Zoë".encode("latin-1")).status_code == 303


def test_a_header_from_elsewhere_is_no_proxys(start_console: StartConsole) -> None:
    console = start_console(proxied(("127.0.0.1", 0), "10.0.0.7"))

    answer = console.browser(signed_in=False).get(
        console.url,
        headers={"X-Forwarded-User": "Li Wei", "X-Forwarded-For": "10.0.0.7"},
        allow_redirects=False,
        timeout=10,
    )

    assert answer.status_code == 303


def test_whoever_can_open_our_socket_is_the_proxy(
    start_console: StartConsole, tmp_path: Path
) -> None:
    path = tmp_path / "console.sock"
    start_console(proxied(path, "unix"))

    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(path))
        client.sendall(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-User: Li Wei\r\n"
            b"Connection: close\r\n\r\n"
        )
        answer = b"".join(iter(lambda: client.recv(65536), b""))

    assert b"Li Wei, operator" in answer


def test_a_token_is_for_the_api_and_its_role_holds(start_console: StartConsole) -> None:
    console = start_console(with_users())

    def called(path: str, token: str, method: str = "GET") -> int:
        answer = requests.request(
            method,
            console.url + path,
            headers={"Authorization": f"Bearer {token}"},
            json={"why": "INC-4711"} if method == "POST" else None,
            allow_redirects=False,
            timeout=10,
        )
        return answer.status_code

    assert called("/api/v1/lanes", "viewers-token") == 200
    assert called("/api/v1/lanes", "wrong") == 401
    assert called("/", "operators-token") == 303
    assert called("/api/v1/accounts/acme/pause", "viewers-token", "POST") == 403
    assert called("/api/v1/accounts/acme/pause", "operators-token", "POST") == 200
    assert [each[:3] for each in console.source.asked] == [("pause", "deployer", "acme")]


def test_what_the_api_refuses_is_said_by_rfc_9457(console: Running) -> None:
    answer = requests.get(f"{console.url}/api/v1/lanes", timeout=10)

    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() | {"detail": ""} == {
        "type": "about:blank",
        "title": "Unauthorized",
        "status": 401,
        "kind": "sign_in",
        "detail": "",
    }


@pytest.mark.parametrize(
    "path",
    [
        "/static/..%2f..%2faccess.py",
        "/static/%2e%2e/access.py",
        "/static/../access.py",
        "/static/....//access.py",
        "/static/%252e%252e%252faccess.py",
        "/static//etc/passwd",
        "/static/%00",
    ],
)
def test_nothing_but_our_files_is_served(path: str, console: Running) -> None:
    status, body = raw(console, "GET", path, {"Host": "localhost"})

    assert status in {303, 404}
    assert "import" not in body


@pytest.mark.parametrize(
    "there",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:1",
        "http://[",
    ],
)
def test_signing_in_leads_nowhere_else(there: str, console: Running) -> None:
    answer = console.browser(signed_in=False).post(
        f"{console.url}/sign-in",
        {"code": console.access.code, "next": there},
        allow_redirects=False,
        timeout=10,
    )

    assert answer.headers["location"] == "/"


def test_a_link_from_another_site_comes_back_by_our_own_page(console: Running) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}
    stranger = console.browser(signed_in=False)

    page = stranger.get(f"{console.url}/accounts/acme?x=1", headers=headers, timeout=10)
    evil = stranger.get(f"{console.url}//evil.example", headers=headers, timeout=10)

    assert 'content="0; url=/accounts/acme?x=1"' in page.text
    assert 'content="0; url=/evil.example"' in evil.text


@pytest.mark.parametrize("path", ["/", "/nowhere", "/sign-in", "/static/console.css", "/healthz"])
def test_every_answer_tells_browsers_what_they_may(path: str, console: Running) -> None:
    headers = console.browser().get(console.url + path, timeout=10).headers

    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in policy
    assert "server" not in headers


def test_a_form_is_as_large_as_an_edit_can_be_and_no_larger(console: Running) -> None:
    browser = console.browser()
    path = f"{console.url}/dead/letters/{KEY}/mend"

    fits = browser.post(path, {"body": "\u4e2d" * 21_000}, timeout=30)
    larger = browser.post(path, {"body": "a" * 600_000}, timeout=30)

    assert (fits.status_code, larger.status_code) == (200, 413)


def test_over_tls_the_cookie_never_goes_in_the_clear(
    start_console: StartConsole, tmp_path: Path
) -> None:
    ca = trustme.CA()
    made = ca.issue_cert("127.0.0.1")
    made.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    made.private_key_pem.write_to_path(tmp_path / "key.pem")
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    users = with_users()
    console = start_console(
        ConsoleSettings(
            users.address,
            LOOPBACK,
            users=users.users,
            certificate=tmp_path / "cert.pem",
            certificate_key=tmp_path / "key.pem",
        )
    )

    answer = requests.post(
        f"{console.url}/sign-in",
        {"name": "Li Wei", "password": PASSWORD},
        headers=SAME_ORIGIN,
        verify=str(tmp_path / "ca.pem"),
        allow_redirects=False,
        timeout=30,
    )

    assert console.url.startswith("https://")
    assert "Secure" in answer.headers["set-cookie"]


def test_who_is_alive_is_told_to_everybody(console: Running) -> None:
    console.source.is_up = False

    answer = requests.get(f"{console.url}/healthz", timeout=10)

    assert answer.status_code == 200
    assert "does not answer" in answer.text
    assert console.source.pictures == 0, "anybody may ask, as often as they like"
