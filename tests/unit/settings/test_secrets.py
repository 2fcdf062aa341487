from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.cli.called import taskedit
from tests.unit.settings.builders import accounts_file, environ, loaded, named, problems
from worker.amqp import connection as address
from worker.management import Management
from worker.settings import Settings, load

if TYPE_CHECKING:
    from pathlib import Path

CANARY = "SeCrEt"


def test_every_secret_may_be_in_a_file(tmp_path: Path) -> None:
    texts = {
        "amqp_url": "amqp://u:p@h/%2F",
        "management_url": "http://u:p@h:15672",
        "api_key": "key",
        "api_secret": "secret",
        "http_proxy": "http://u:p@proxy:3128",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(f"{text}\n")

    settings = load({f"TASKEDIT_{name.upper()}_FILE": str(tmp_path / name) for name in texts})

    assert isinstance(settings, Settings)
    assert settings.amqp_urls[0].get_secret_value() == texts["amqp_url"]
    assert settings.management_url is not None
    assert settings.management_url.get_secret_value() == texts["management_url"]
    (account,) = settings.accounts
    assert account.api_key == "key"
    assert account.api_secret.get_secret_value() == "secret"
    assert account.endpoint.proxy == texts["http_proxy"]


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
def test_the_line_end_of_a_file_is_no_part_of_the_secret(tmp_path: Path, end: str) -> None:
    (tmp_path / "secret").write_bytes(f"secret{end}".encode())

    settings = load(named(api_key="key", api_secret_file=str(tmp_path / "secret")))

    assert isinstance(settings, Settings)
    assert settings.accounts[0].api_secret.get_secret_value() == "secret"


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hidden")

    found = problems(environ(api_secret_file=str(tmp_path / "secret")))

    assert found == ["TASKEDIT_API_SECRET is given twice: remove it or TASKEDIT_API_SECRET_FILE"]


def test_a_byte_order_mark_is_no_part_of_a_file(tmp_path: Path) -> None:
    environment = accounts_file(
        tmp_path, '\ufeff[accounts.acme]\napi_key = "key"\napi_secret_file = "secret"\n'
    )
    (tmp_path / "secret").write_text("\ufeffsecret\n")

    settings = load(environment)

    assert isinstance(settings, Settings)
    assert settings.accounts[0].api_secret.get_secret_value() == "secret"


def test_quotes_in_a_secrets_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text('"hidden"\n')

    (found,) = problems(named(api_key="key", api_secret_file=str(tmp_path / "secret")))

    assert found.endswith("names a file whose content has quotes around it: write it without them")


SPLITTERS = st.text("aZ1/@#?%:[]\\;&= ", max_size=6)


@given(before=SPLITTERS, after=SPLITTERS)
@example("4711/", "")
@example("p@ss#", "")
@example("1?", "@")
def test_no_password_comes_out_however_it_is_written(before: str, after: str) -> None:
    """Either it is certain where it ends, and then nobody shows it, or the URL is refused."""
    password = f"{before}{CANARY}{after}"
    for name, scheme in (("amqp_url", "amqp"), ("management_url", "http"), ("http_proxy", "http")):
        text = f"{scheme}://worker:{password}@rabbit:5672"
        found = load(environ(**{name: text}))
        if not isinstance(found, Settings):
            assert CANARY not in "".join(map(str, found))
        elif name == "amqp_url":
            assert address.shown(text) == "amqp://rabbit:5672"
        elif name == "management_url":
            assert Management(text, "/").address == "http://rabbit:5672"


@given(password=st.text(min_size=1, max_size=20))
def test_a_password_that_is_percent_encoded_is_taken(password: str) -> None:
    url = f"amqp://worker:{quote(password, safe='')}@rabbit/%2F"

    settings = loaded(amqp_url=url)

    assert settings.amqp_urls[0].get_secret_value() == url


@pytest.mark.parametrize(
    "command", [("run",), ("doctor",), ("dead", "list"), ("watch",), ("topology", "show")]
)
@pytest.mark.parametrize("name", ["amqp_url", "management_url"])
@pytest.mark.parametrize("password", [f"4711/{CANARY}", f"p@ss#{CANARY}", f"1?{CANARY}"])
def test_no_command_shows_a_part_of_a_password(
    command: tuple[str, ...], name: str, password: str
) -> None:
    scheme = "amqp" if name == "amqp_url" else "http"
    variables = {name: f"{scheme}://worker:{password}@127.0.0.1:1"}

    result = taskedit(*command, environ=environ(**variables))

    assert result.exit_code == 78
    assert "write % as %25" in result.output
    for piece in (CANARY, "4711", "ss#", "worker:"):
        assert piece not in result.output


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "which cannot be read (No such file or directory)"),
        (b"", "which is empty"),
        (b"\n", "which is empty"),
        (b"\xff\xfe", "which is not text in UTF-8"),
        (b"x" * 70_000, "which is too large (over 64 KiB)"),
        (b"hid\nden", "names a file whose content must be at most 500 visible ASCII characters"),
    ],
)
def test_a_file_that_is_no_good_is_named(
    tmp_path: Path, content: bytes | None, sentence: str
) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)

    (found,) = problems(named(api_key="key", api_secret_file=str(path)))

    assert found.startswith("TASKEDIT_API_SECRET_FILE ")
    assert sentence in found
    assert "hid" not in found


def test_a_folder_is_no_secret(tmp_path: Path) -> None:
    (found,) = problems(named(api_key="key", api_secret_file=str(tmp_path)))

    assert f"names {tmp_path}, which cannot be read (Is a directory)" in found


def test_settings_print_no_secret(tmp_path: Path) -> None:
    settings = loaded(
        api_secret="hidden1",
        amqp_url="amqp://u:hidden2@h/%2F",
        management_url="http://u:hidden3@h",
        http_proxy="http://u:hidden4@h",
    )

    assert "hidden" not in f"{settings!r} {settings}"


def test_files_are_read_anew(tmp_path: Path) -> None:
    environment = accounts_file(
        tmp_path,
        """
        [accounts.acme]
        api_key = "key"
        api_secret_file = "secret"
        """,
    )
    secrets = []
    for secret in ("old", "new"):
        (tmp_path / "secret").write_text(secret)
        settings = load(environment)
        assert isinstance(settings, Settings)
        secrets.append(settings.accounts[0].api_secret.get_secret_value())

    assert secrets == ["old", "new"]
