"""Finding and installing RabbitMQ, without touching the machine's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.rabbitmq.install import (
    HOME_VARIABLE,
    AbsentError,
    Installation,
    _on_the_path,
    found,
    package,
)


def rabbitmq_in(root: Path, *versions: str) -> None:
    for version in versions:
        scripts = root / f"usr/lib/rabbitmq/lib/rabbitmq_server-{version}/sbin"
        scripts.mkdir(parents=True)
        (scripts / "rabbitmq-server").touch(0o755)


def erlang_in(root: Path) -> None:
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/erl").touch(0o755)


def test_the_newest_version_is_found_by_number_not_by_letter(tmp_path: Path) -> None:
    erlang_in(tmp_path)
    rabbitmq_in(tmp_path, "3.9.27", "3.10.8", "3.8.2")
    home = Path("/usr/lib/rabbitmq/lib/rabbitmq_server-3.10.8")
    assert found(tmp_path) == Installation(home, "3.10.8")


def test_a_rabbitmq_without_erlang_is_none(tmp_path: Path) -> None:
    rabbitmq_in(tmp_path, "3.10.8")
    assert found(tmp_path) is None


def test_a_rabbitmq_on_the_path_is_found_wherever_it_is(tmp_path: Path) -> None:
    home, bin_folder = tmp_path / "opt/rabbitmq", tmp_path / "bin"
    for folder in (home / "sbin", home / "plugins/rabbit-4.3.6", bin_folder):
        folder.mkdir(parents=True)
    (home / "sbin/rabbitmq-server").touch(0o755)
    (bin_folder / "rabbitmq-server").symlink_to(home / "sbin/rabbitmq-server")
    (bin_folder / "erl").touch(0o755)
    assert _on_the_path(str(bin_folder)) == Installation(home, "4.3.6")


def test_the_folder_that_is_named_wins_and_one_without_a_rabbitmq_is_an_error(
    tmp_path: Path,
) -> None:
    environ = {HOME_VARIABLE: str(tmp_path / "rabbitmq_server-4.1.2")}
    with pytest.raises(AbsentError, match="has no sbin/rabbitmq-server"):
        found(environ=environ)
    home = tmp_path / "rabbitmq_server-4.1.2"
    (home / "sbin").mkdir(parents=True)
    (home / "sbin/rabbitmq-server").touch(0o755)
    assert found(environ=environ) == Installation(home, "4.1.2")


def test_where_nothing_can_be_installed_the_error_names_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(AbsentError, match=r"^rabbitmq-server is not installed"):
        package("rabbitmq-server")
