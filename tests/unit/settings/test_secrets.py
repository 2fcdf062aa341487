from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.settings.builders import accounts_file, environ, loaded, named, problems
from worker.settings import Settings, load

if TYPE_CHECKING:
    from pathlib import Path


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


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "which cannot be read (No such file or directory)"),
        (b"", "which is empty"),
        (b"\n", "which is empty"),
        (b"\xff\xfe", "which is no text"),
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
