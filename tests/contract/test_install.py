"""Finding and installing RabbitMQ, without touching the machine's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.rabbitmq.install import AbsentError, Installation, found, package


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


def test_where_nothing_can_be_installed_the_error_names_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(AbsentError, match=r"^rabbitmq-server is not installed"):
        package("rabbitmq-server")
