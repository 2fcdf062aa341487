"""Who may reach the console, and how: the ``TASKEDIT_CONSOLE_…`` variables and the users file.

The console moves letters, so nothing here is open by default: beyond this machine it takes users
over TLS, or a proxy that is known by where it comes from.
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from worker.settings import files, texts
from worker.settings.source import Findings, environment_source

if TYPE_CHECKING:
    from collections.abc import Mapping

    from worker.settings.source import Problem, SettingsSource

Role = Literal["viewer", "operator"]
ROLES: Final[Mapping[str, Role]] = {"viewer": "viewer", "operator": "operator"}
NAMES: Final = frozenset(
    f"console_{name}"
    for name in (
        "address",
        "users_file",
        "certificate_file",
        "certificate_key_file",
        "hosts",
        "proxy",
        "proxy_header",
        "operators",
    )
)
_SCRYPT: Final = re.compile(r"scrypt\$[0-9]+\$[0-9]+\$[0-9]+\$[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_HOST: Final = re.compile(r"(?:\[[0-9a-f:.]+\]|[a-z0-9._-]{1,253})(?::[0-9]{1,5})?")
_HEADER: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,99}")
_LOOPBACK: Final = frozenset(("localhost", "127.0.0.1", "[::1]"))
_UNIX: Final = "unix:"
Address = tuple[str, int] | Path
"""Host and port, or the path of a Unix socket."""
_ADDRESS: Final[Address] = "127.0.0.1", 9465


@dataclass(frozen=True, slots=True)
class User:
    """Somebody of the users file."""

    role: Role
    password: str = field(repr=False)
    """``scrypt$N$r$p$salt$hash``, as `taskedit console --hash-password` prints it."""


@dataclass(frozen=True, slots=True)
class Token:
    """A program of the users file."""

    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class ConsoleSettings:
    """What an operator decides of the console."""

    address: Address
    hosts: frozenset[str]
    """Values of ``Host`` that are answered; one without a port stands for every port."""
    users: Mapping[str, User] = field(default_factory=dict)
    tokens: Mapping[str, Token] = field(default_factory=dict, repr=False)
    """By the SHA-256 of the token, in hex."""
    certificate: Path | None = None
    certificate_key: Path | None = None
    proxies: frozenset[str] = frozenset()
    """Addresses that may say who somebody is; ``unix`` for whoever can open our socket."""
    proxy_header: str = "x-forwarded-user"
    operators: frozenset[str] = frozenset()
    """Whom of those that a proxy names are operators; the others are viewers."""

    @property
    def by_code(self) -> bool:
        """Whether the code that is printed at the start signs in."""
        return not self.users and not self.proxies


def load_console(environ: Mapping[str, str]) -> ConsoleSettings | tuple[Problem, ...]:
    """The console's settings, or what is wrong with them: one sentence a setting."""
    source = environment_source(environ, Findings())
    address = source.read("console_address", _address, _ADDRESS)
    own = frozenset() if isinstance(address, Path) else frozenset((in_url(address[0].lower()),))
    people = source.read("console_users_file", lambda text: _people(source, text), _People())
    settings = ConsoleSettings(
        address=address,
        hosts=source.read("console_hosts", _hosts, _LOOPBACK | own),
        users=people.users,
        tokens=people.tokens,
        certificate=source.path("console_certificate_file", files.certificates),
        certificate_key=source.path("console_certificate_key_file", files.readable),
        proxies=source.read("console_proxy", _proxies, frozenset()),
        proxy_header=source.read("console_proxy_header", _header, "x-forwarded-user"),
        operators=source.read("console_operators", _names, frozenset()),
    )
    _check(source, settings)
    return tuple(source.findings.problems) or settings


def _check(source: SettingsSource, settings: ConsoleSettings) -> None:
    """Refuse what would be open to more people than its operator can mean."""
    if (settings.certificate is None) != (settings.certificate_key is None):
        source.wrong(
            "console_certificate_file", "needs TASKEDIT_CONSOLE_CERTIFICATE_KEY_FILE beside it"
        )
    elif settings.certificate is not None and settings.certificate_key is not None:
        try:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(settings.certificate, settings.certificate_key)
        except OSError:
            source.wrong("console_certificate_key_file", "does not belong to the certificate")
    socket = isinstance(settings.address, Path)
    if socket != ("unix" in settings.proxies):
        source.wrong(
            "console_proxy", "is to be unix when TASKEDIT_CONSOLE_ADDRESS is a Unix socket, only"
        )
    outside = socket or not _is_loopback(settings.address)
    if (outside or settings.proxies) and not source.has("console_hosts"):
        source.wrong("console_hosts", "is missing: write what browsers call it, such as ops.lan")
    if outside and not settings.proxies and not (settings.users and settings.certificate):
        source.wrong(
            "console_address",
            "can be reached from other machines: give TASKEDIT_CONSOLE_USERS_FILE and"
            " TASKEDIT_CONSOLE_CERTIFICATE_FILE, or TASKEDIT_CONSOLE_PROXY",
        )
    elif (settings.users or settings.tokens) and not (socket or settings.certificate) and outside:
        source.wrong(
            "console_users_file",
            "needs TASKEDIT_CONSOLE_CERTIFICATE_FILE where other machines reach the console, also"
            " beside TASKEDIT_CONSOLE_PROXY: passwords and tokens could be read on the way",
        )


def in_url(host: str) -> str:
    """The host as an address of a page has it: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def _is_loopback(address: Address) -> bool:
    if isinstance(address, Path):
        return False
    try:
        return ip_address(address[0]).is_loopback
    except ValueError:
        return address[0] == "localhost"


def _address(text: str) -> Address:
    return Path(text.removeprefix(_UNIX)) if text.startswith(_UNIX) else texts.address(text)


def _names(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(",")) - {""}


def _hosts(text: str) -> frozenset[str]:
    found = _names(text.lower())
    for one in sorted(found):
        if _HOST.fullmatch(one) is None:
            raise ValueError(f"holds {one!r}: write host names such as ops.lan or ops.lan:9465")
    return found


def _proxies(text: str) -> frozenset[str]:
    found = _names(text.lower())
    for one in found - {"unix"}:
        try:
            ip_address(one)
        except ValueError:
            raise ValueError(f"holds {one!r}: write unix, or addresses like 10.0.0.7") from None
    return found


def _header(text: str) -> str:
    if _HEADER.fullmatch(text) is None:
        raise ValueError(f"is {text!r}: write the name of a header, such as X-Forwarded-User")
    return text.lower()


@dataclass(frozen=True, slots=True)
class _People:
    users: Mapping[str, User] = field(default_factory=dict)
    tokens: Mapping[str, Token] = field(default_factory=dict)


def _people(source: SettingsSource, text: str) -> _People:
    """People and programs of a TOML file: ``[users."Li Wei"]`` and ``[tokens.grafana]``."""
    path = source.within(text)
    if files.anybody_can_write(path):
        raise ValueError(f"names {path}, which every user can change: chmod o-w")
    content = files.table(path)
    users, tokens = content.pop("users", {}), content.pop("tokens", {})
    if content or not isinstance(users, dict) or not isinstance(tokens, dict):
        raise ValueError(f"names {path}: write tables such as [users.wei] and [tokens.grafana]")
    return _People(
        {name: _user(path, name, table) for name, table in users.items()},
        dict(_token(path, name, table) for name, table in tokens.items()),
    )


def _user(path: Path, name: str, table: object) -> User:
    match table:
        case {"role": str(role), "password": str(password), **rest} if not rest:
            if role in ROLES and _SCRYPT.fullmatch(password):
                return User(ROLES[role], password)
    raise ValueError(
        f"names {path}: [users.{name!r}] needs role = viewer or operator, and the password that"
        " taskedit console --hash-password prints"
    )


def _token(path: Path, name: str, table: object) -> tuple[str, Token]:
    match table:
        case {"role": str(role), "sha256": str(digest), **rest} if not rest:
            if role in ROLES and _SHA256.fullmatch(digest):
                return digest, Token(name, ROLES[role])
    raise ValueError(
        f"names {path}: [tokens.{name!r}] needs role = viewer or operator, and sha256 = the digest"
        " that taskedit console --new-token prints"
    )
