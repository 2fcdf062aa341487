"""Who somebody is, and what they may do: no request reaches a page before this has let it through.

A browser signs in with the code of the start, with a password, or by a proxy that names its user;
a program sends a bearer token. What changes anything has to come from our own page: browsers say
so themselves (`Sec-Fetch-Site`, and where that is missing `Origin`), so no token goes into forms.
"""

from __future__ import annotations

import asyncio
import base64
import getpass
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import click

from worker.settings.console import User

if TYPE_CHECKING:
    from starlette.requests import Request

    from worker.settings.console import ConsoleSettings, Role

SESSION_COOKIE: Final = "taskedit_console"
LONGEST_SESSION: Final = 12 * 3600.0
"""Seconds after which everybody signs in anew."""
IDLE_SESSION: Final = 3600.0
"""Seconds without a request after which a session ends."""
_SESSIONS_AT_MOST: Final = 1000
_FAILURES_AT_MOST: Final = 5
_FAILURES_WITHIN: Final = 60.0
_ALPHABET: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_SAFE_METHODS: Final = frozenset(("GET", "HEAD"))
_OPEN_PATHS: Final = frozenset(("/healthz", "/sign-in", "/preferences"))
_FOR_EVERYBODY: Final = frozenset(("/sign-in", "/sign-out", "/preferences"))
"""What viewers may post too."""
_COST: Final = (2**15, 8, 3)
"""N, r and p of scrypt: 32 MiB and about a quarter of a second."""


@dataclass(frozen=True, slots=True)
class Person:
    """Whoever sent a request."""

    name: str
    role: Role
    has_session: bool = False
    """Signed in here, and so can sign out."""

    @property
    def is_operator(self) -> bool:
        """Whether they may change anything."""
        return self.role == "operator"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request goes no further; the pages word it."""

    status: int
    kind: str


@dataclass(slots=True)
class _Session:
    person: Person
    begun: float
    seen: float


def _new_code() -> str:
    """Ten letters and digits that nobody takes for each other: 50 bits."""
    code = "".join(secrets.choice(_ALPHABET) for _ in range(10))
    return f"{code[:5]}-{code[5:]}"


@dataclass(slots=True)
class Access:
    """Decides on every request, and remembers who has signed in. Times are monotonic seconds."""

    settings: ConsoleSettings
    address: str
    """Of the console, for people: ``http://127.0.0.1:9465``."""
    code: str = field(default_factory=_new_code)
    """Signs in once, and is then followed by another."""
    _sessions: dict[bytes, _Session] = field(default_factory=dict)
    """By the SHA-256 of what the browser holds."""
    _failures: dict[str, list[float]] = field(default_factory=dict)
    _hashing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))

    @property
    def invitation(self) -> str:
        """How whoever started the console signs in."""
        return f"Sign in once: {self.address}/sign-in?code={self.code}"

    def refusal(self, request: Request, person: Person | None) -> Refusal | None:
        """Why this person's request is not answered; None when it may be."""
        hosts, path = request.headers.getlist("host"), request.scope["path"]
        if len(hosts) != 1 or not self._knows_host(hosts[0].lower()):
            return Refusal(421, "host")
        is_safe = request.method in _SAFE_METHODS
        if not (is_safe or _bearer(request) is not None or _is_ours(request, hosts[0])):
            return Refusal(403, "cross_site")
        if path in _OPEN_PATHS or path.startswith("/static/"):
            return None
        if person is None:
            return Refusal(401, "sign_in")
        if is_safe or path in _FOR_EVERYBODY or person.is_operator:
            return None
        return Refusal(403, "viewer")

    def person(
        self, request: Request, now: float | None = None, *, is_new: bool = True
    ) -> Person | None:
        """Who sent the request; None when nobody vouches for them, or nobody does any more.

        `is_new`: it has come just now, and so shows that somebody is there.
        """
        now = monotonic() if now is None else now
        token = _bearer(request)
        if token is not None:
            digest = hashlib.sha256(token.encode()).hexdigest()
            known = self.settings.tokens.get(digest)
            return None if known is None else Person(known.name, known.role)
        return self._named_by_proxy(request) or self._of_session(request, now, is_new=is_new)

    async def sign_in(self, name: str, password: str, code: str) -> tuple[str, Person] | None:
        """A new session's cookie, and whose it is; None for a wrong code or password.

        After five failures of a name within a minute, none of its passwords is tried any more.
        """
        now = monotonic()
        who = "" if self.settings.by_code else name
        failures = [at for at in self._failures.get(who, ()) if at > now - _FAILURES_WITHIN]
        if len(failures) >= _FAILURES_AT_MOST:
            return None
        # Before it is known whether this one fails: guesses that come at once count too.
        self._failures = {who: [*failures, now], **_newest(self._failures, without=who)}
        by_code = self.settings.by_code
        person = self._by_code(code) if by_code else await self._by_name(who, password)
        if person is None:
            return None
        self._failures.pop(who, None)
        return self._begun(person, now), person

    def sign_out(self, request: Request) -> None:
        """End the request's session."""
        self._sessions.pop(_digest(request.cookies.get(SESSION_COOKIE, "")), None)

    def _knows_host(self, host: str) -> bool:
        name, colon, port = host.rpartition(":")
        bare = name if colon and port.isdecimal() else host
        return host in self.settings.hosts or bare in self.settings.hosts

    def _named_by_proxy(self, request: Request) -> Person | None:
        """Whom a proxy names, if the connection is from a proxy that we know."""
        if not self.settings.proxies:
            return None
        peer = "unix" if request.client is None else request.client.host
        names = request.headers.getlist(self.settings.proxy_header)
        if peer not in self.settings.proxies or len(names) != 1:
            return None
        try:
            name = names[0].encode("latin-1").decode().strip()  # headers are read byte by byte
        except UnicodeDecodeError:
            return None
        if not name:
            return None
        return Person(name, "operator" if name in self.settings.operators else "viewer")

    def _of_session(self, request: Request, now: float, *, is_new: bool) -> Person | None:
        key = _digest(request.cookies.get(SESSION_COOKIE, ""))
        session = self._sessions.get(key)
        if session is None:
            return None
        if now - session.begun > LONGEST_SESSION or now - session.seen > IDLE_SESSION:
            del self._sessions[key]
            return None
        if is_new:
            session.seen = now
        return session.person

    def _by_code(self, code: str) -> Person | None:
        given = code.strip().upper().replace("-", "")
        if not hmac.compare_digest(given.encode(), self.code.replace("-", "").encode()):
            return None
        self.code = _new_code()
        click.echo(self.invitation)
        return Person(_system_user(), "operator", has_session=True)

    async def _by_name(self, name: str, password: str) -> Person | None:
        """Takes as long for a name that nobody has."""
        user = self.settings.users.get(name)
        wanted = (user or User("viewer", _NOBODY)).password
        async with self._hashing:  # 32 MiB each: one at a time
            is_right = await asyncio.to_thread(password_matches, password, wanted)
        return Person(name, user.role, has_session=True) if user and is_right else None

    def _begun(self, person: Person, now: float) -> str:
        alive = sorted(self._sessions.items(), key=lambda each: each[1].seen)
        self._sessions = dict(alive[-_SESSIONS_AT_MOST + 1 :])
        token = secrets.token_urlsafe(32)
        self._sessions[_digest(token)] = _Session(person, now, now)
        return token


def password_hash(password: str) -> str:
    """The password as the users file holds it: scrypt with a salt of its own."""
    salt, (n, r, p) = secrets.token_bytes(16), _COST
    made = _scrypt(password, salt, n, r, p)
    return f"scrypt${n}${r}${p}${_base64(salt)}${_base64(made)}"


def password_matches(password: str, wanted: str) -> bool:
    """Whether a password is the one of which the users file holds the hash."""
    _, n, r, p, salt, made = wanted.split("$")
    try:
        found = _scrypt(password, base64.b64decode(salt), int(n), int(r), int(p))
    except (ValueError, MemoryError):
        return False
    return hmac.compare_digest(found, base64.b64decode(made))


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    most = 128 * r * (n + p + 2) + 1024 * 1024
    said = password.encode(errors="surrogatepass")
    return hashlib.scrypt(said, salt=salt, n=n, r=r, p=p, maxmem=most, dklen=32)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


_NOBODY: Final = "scrypt${}${}${}${}${}".format(*_COST, _base64(bytes(16)), _base64(bytes(32)))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()


def _newest(failures: dict[str, list[float]], *, without: str) -> dict[str, list[float]]:
    """What is worth remembering of failures: names are anybody's invention."""
    rest = [(name, at) for name, at in failures.items() if name != without]
    return dict(rest[: _SESSIONS_AT_MOST - 1])


def _is_ours(request: Request, host: str) -> bool:
    """Whether a browser says that a request comes from a page of ours."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    try:
        origin = urlsplit(request.headers.get("origin", ""))
    except ValueError:
        return False
    return origin.scheme in {"http", "https"} and origin.netloc.lower() == host.lower()


def _bearer(request: Request) -> str | None:
    """A program's token; only the API takes one."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    is_one = scheme.lower() == "bearer" and request.scope["path"].startswith("/api/")
    return token.strip() if is_one else None


def _system_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "operator"
