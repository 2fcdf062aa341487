from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trustme

from tests.unit.settings.builders import named
from worker.console.access import password_hash, password_matches
from worker.settings.console import ConsoleSettings, Token, User, load_console

if TYPE_CHECKING:
    from pathlib import Path

HASH = "scrypt$16384$8$1$c2FsdA==$aGFzaA=="


@pytest.fixture
def certificate(tmp_path: Path) -> dict[str, str]:
    made = trustme.CA().issue_cert("ops.lan")
    made.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    made.private_key_pem.write_to_path(tmp_path / "key.pem")
    return named(
        console_certificate_file=str(tmp_path / "cert.pem"),
        console_certificate_key_file=str(tmp_path / "key.pem"),
    )


@pytest.fixture
def users(tmp_path: Path) -> dict[str, str]:
    path = tmp_path / "users.toml"
    path.write_text(
        f'[users."Li Wei"]\nrole = "operator"\npassword = "{HASH}"\n'
        f'[tokens.grafana]\nrole = "viewer"\nsha256 = "{"a" * 64}"\n'
    )
    return named(console_users_file=str(path))


def loaded(environ: dict[str, str]) -> ConsoleSettings:
    found = load_console(environ)
    assert isinstance(found, ConsoleSettings), found
    return found


def problems(environ: dict[str, str]) -> list[str]:
    found = load_console(environ)
    return [] if isinstance(found, ConsoleSettings) else [str(one) for one in found]


def test_by_default_it_is_for_this_machine_and_a_code_signs_in() -> None:
    settings = loaded({})

    assert settings.address == ("127.0.0.1", 9465)
    assert settings.hosts == {"localhost", "127.0.0.1", "[::1]"}
    assert settings.by_code


def test_users_and_programs_come_from_a_file(users: dict[str, str]) -> None:
    settings = loaded(users)

    assert settings.users == {"Li Wei": User("operator", HASH)}
    assert settings.tokens == {"a" * 64: Token("grafana", "viewer")}
    assert not settings.by_code
    assert HASH not in repr(settings)
    assert "a" * 64 not in repr(settings)


def test_beyond_this_machine_users_over_tls_will_do(
    users: dict[str, str], certificate: dict[str, str]
) -> None:
    outside = named(console_address="0.0.0.0:9465", console_hosts="ops.lan")

    assert loaded(outside | users | certificate).certificate is not None


@pytest.mark.parametrize("address", ["0.0.0.0:9465", "[::]:9465", "10.0.0.7:9465", "ops.lan:9465"])
def test_beyond_this_machine_it_is_never_open(
    address: str, users: dict[str, str], certificate: dict[str, str]
) -> None:
    outside = named(console_address=address, console_hosts="ops.lan")

    for lacking in ({}, users, certificate):
        assert ["TASKEDIT_CONSOLE_ADDRESS" in one for one in problems(outside | lacking)] == [True]


def test_a_proxy_is_known_by_its_address_or_by_our_socket(tmp_path: Path) -> None:
    hosts = named(console_hosts="ops.lan")
    socket = named(console_address=f"unix:{tmp_path}/console.sock")

    assert loaded(hosts | socket | named(console_proxy="unix")).proxies == {"unix"}
    assert loaded(
        hosts | named(console_address="0.0.0.0:9465", console_proxy="10.0.0.7")
    ).proxies == {"10.0.0.7"}
    assert problems(hosts | socket)
    assert problems(hosts | named(console_proxy="unix"))
    assert problems(named(console_proxy="10.0.0.7"))


def test_a_proxy_on_another_machine_does_not_make_users_safe_without_tls(
    users: dict[str, str], certificate: dict[str, str]
) -> None:
    proxy = named(console_hosts="ops.lan", console_proxy="10.0.0.7") | users
    outside = proxy | named(console_address="0.0.0.0:9465")

    [found] = problems(outside)
    assert found.startswith("TASKEDIT_CONSOLE_USERS_FILE needs TASKEDIT_CONSOLE_CERTIFICATE_FILE")
    assert loaded(outside | certificate).users
    assert loaded(proxy).users


@pytest.mark.parametrize("host", ["127.0.0.2", "[0:0:0:0:0:0:0:1]", "localhost"])
def test_the_address_on_this_machine_that_it_is_given_is_answered(host: str) -> None:
    assert host in loaded(named(console_address=f"{host}:9465")).hosts


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("console_address", "9465"),
        ("console_hosts", "https://ops.lan/"),
        ("console_proxy", "everybody"),
        ("console_proxy_header", "X Forwarded User"),
        ("console_users_file", "/nonexistent"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(variable: str, value: str) -> None:
    found = problems(named(**{variable: value}))

    assert [one.partition(" ")[0] for one in found] == [f"TASKEDIT_{variable.upper()}"]


@pytest.mark.parametrize(
    "text",
    [
        'colour = "red"',
        '[users.wei]\nrole = "operator"',
        f'[users.wei]\nrole = "admin"\npassword = "{HASH}"',
        '[users.wei]\nrole = "viewer"\npassword = "in the clear"',
        '[tokens.t]\nrole = "viewer"\nsha256 = "the token itself"',
    ],
)
def test_a_users_file_is_taken_whole_or_not_at_all(text: str, tmp_path: Path) -> None:
    path = tmp_path / "users.toml"
    path.write_text(text)

    assert len(problems(named(console_users_file=str(path)))) == 1


def test_a_users_file_that_everybody_can_write_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "users.toml"
    path.write_text("")
    path.chmod(0o666)

    assert "chmod" in problems(named(console_users_file=str(path)))[0]


def test_a_certificate_needs_its_own_key(certificate: dict[str, str], tmp_path: Path) -> None:
    other = trustme.CA().issue_cert("ops.lan")
    other.private_key_pem.write_to_path(tmp_path / "other.pem")
    key = named(console_certificate_key_file=str(tmp_path / "other.pem"))

    assert problems({name: value for name, value in certificate.items() if "KEY" not in name})
    assert problems(certificate | key)


def test_a_password_is_known_by_its_hash_only() -> None:
    made = password_hash("correct horse")

    assert password_matches("correct horse", made)
    assert not password_matches("battery staple", made)
    assert "horse" not in made
    assert made != password_hash("correct horse")
