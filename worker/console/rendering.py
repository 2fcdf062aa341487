"""Templates, languages, and how values are written: the only place that knows Jinja.

Templates escape for HTML, and the whole page then passes through `shown`: what cannot be seen, or
turns text around, is written as an escape, so no template can forget it.
"""

from __future__ import annotations

import gettext
import hashlib
import json
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from markupsafe import Markup
from starlette.responses import Response

from schemas import Malformed, document
from worker.console import wording
from worker.console.model import HOUR

if TYPE_CHECKING:
    from jinja2.runtime import Context
    from starlette.requests import Request

    from worker.console.access import Person
    from worker.console.data import Console
    from worker.console.model import LetterFilter

LANGUAGES: Final = {"en": "English", "zh": "中文"}
THEMES: Final = ("auto", "light", "dark")
_SEEN_ANYWAY: Final = frozenset("\n\t\u00a0\u3000")
"""Not printable to Python, and harmless: line ends, and the wide space of Chinese texts."""
_UNITS: Final = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


def shown(text: str) -> str:
    """The text as it can be read: what is invisible or turns text around is an escape."""
    hidden = {c for c in set(text) if not c.isprintable()} - _SEEN_ANYWAY
    return text.translate({ord(c): _escape(c) for c in hidden}) if hidden else text


def _escape(character: str) -> str:
    return json.dumps(character)[1:-1]


def editable(body: bytes) -> str:
    """A letter's body for an editor: an edit with a field a line, anything else as it is.

    Escapes of invisible characters mean the same in JSON, so the editor can show them too.
    """
    found = document.read(body)
    if isinstance(found, Malformed):
        return body.decode(errors="replace").replace("\r\n", "\n")
    return json.dumps(found, indent=2, ensure_ascii=False)


class Renderer:
    """Makes pages in every language."""

    def __init__(self, console: Console, title: str) -> None:
        """`title` names the installation: its namespace."""
        self._console = console
        self._title = title
        self._static = {
            one.name: one.read_bytes()
            for one in resources.files("worker.console").joinpath("static").iterdir()
            if one.name.rpartition(".")[2] in _TYPES
        }
        self._hashes = {
            name: hashlib.sha256(content).hexdigest()[:12] for name, content in self._static.items()
        }
        self._environments = {language: self._environment(language) for language in LANGUAGES}
        self._translated = {language: translations(language).gettext for language in LANGUAGES}

    def page(
        self, request: Request, template: str, *, status: int = 200, **values: object
    ) -> Response:
        """A page for whoever asks, in their language, zone and colours.

        A live part that is fetched again does not say when it was made: so it has the same tag as
        before, and is not sent, while nothing else in it has changed.
        """
        language = self.language(request)
        person, picture = request.scope.get("person"), self._console.picture()
        context = {
            "path": request.scope["path"],
            "here": here(request),
            "is_part": "hx-request" in request.headers,
            "person": person,
            "language": language,
            "translated": self._translated[language],
            "languages": LANGUAGES,
            "theme": _one_of(request.cookies.get("theme"), THEMES),
            "zone": _zone(request),
            "now": datetime.now(UTC),
            "title": self._title,
            "picture": picture,
            "why_not": _why_not(person, is_up=picture.broker.is_up),
        }
        text = self._environments[language].get_template(template).render(context | values)
        content = shown(text).encode()
        tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        headers = {
            "etag": tag,
            "content-language": language,
            "vary": "cookie, accept-language, hx-request",
        }
        if status == 200 and request.headers.get("if-none-match") == tag:  # noqa: PLR2004 (OK)
            return Response(status_code=304, headers=headers)
        return Response(content, status, headers, "text/html; charset=utf-8")

    def static(self, name: str) -> Response | None:
        """A file that pages refer to; None when there is none of that name."""
        content = self._static.get(name)
        if content is None:
            return None
        headers = {"cache-control": "public, max-age=31536000, immutable"}
        return Response(content, 200, headers, _TYPES[name.rpartition(".")[2]])

    def language(self, request: Request) -> str:
        """The chosen language; else the first that the browser wants of those there are."""
        chosen = request.cookies.get("language")
        if chosen in LANGUAGES:
            return chosen
        for part in request.headers.get("accept-language", "").split(","):
            wanted = part.partition(";")[0].strip().partition("-")[0].lower()
            if wanted in LANGUAGES:
                return wanted
        return "en"

    def _environment(self, language: str) -> Environment:
        made = Environment(
            loader=PackageLoader("worker.console"),
            autoescape=True,
            undefined=StrictUndefined,
            lstrip_blocks=True,
            extensions=["jinja2.ext.i18n"],
            auto_reload=False,
        )
        made.policies["ext.i18n.trimmed"] = True
        made.install_gettext_translations(translations(language), newstyle=True)  # type: ignore[attr-defined]
        made.globals |= {"static": self._address, "query": query, "wording": wording}
        made.filters |= {
            "ago": _ago,
            "duration": _duration,
            "editable": editable,
            "hour": _hour,
            "jsonish": _jsonish,
            "number": _number,
            "short": _short,
            "time": _time,
            "urlencode": _encoded,
        }
        return made

    def _address(self, name: str) -> str:
        return f"/static/{name}?{self._hashes[name]}"


def translations(language: str) -> gettext.NullTranslations:
    """The language's texts; English is what the templates say."""
    if language == "en":
        return gettext.NullTranslations()
    file = resources.files("worker.console") / "locale" / language / "LC_MESSAGES" / "console.mo"
    with file.open("rb") as opened:
        return gettext.GNUTranslations(opened)


def query(filter_: LetterFilter, **more: object) -> str:
    """A filter as an address takes it, with its question mark; empty for one of everything."""
    named = {name: value for name, value in (filter_.told() | more).items() if value is not None}
    return f"?{urlencode(named, errors='replace')}" if named else ""


def _why_not(person: Person | None, *, is_up: bool) -> str | None:
    """Why buttons are disabled; None when they are not."""
    if person is None or not person.is_operator:
        return "viewer"
    return None if is_up else "away"


def here(request: Request) -> str:
    """The page's own address, to fetch it again or to come back to it."""
    text = request.scope["query_string"].decode("latin-1")
    path = "/" + quote(request.scope["path"].lstrip("/\\"), errors="replace")
    return f"{path}?{text}" if text else path


def _one_of(text: str | None, known: tuple[str, ...]) -> str:
    return text if text in known else known[0]


def _zone(request: Request) -> ZoneInfo:
    """The viewer's zone, as their browser or they themselves said."""
    try:
        return ZoneInfo(request.cookies.get("zone", "").replace("%2F", "/") or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


@pass_context
def _time(context: Context, when: datetime | None) -> Markup:
    """A moment in the viewer's zone; with its date unless it is today."""
    if when is None:
        return Markup("–")
    there = when.astimezone(context["zone"])
    is_today = there.date() == context["now"].astimezone(context["zone"]).date()
    text = there.strftime("%H:%M:%S" if is_today else "%Y-%m-%d %H:%M:%S")
    whole = when.astimezone(UTC).isoformat(timespec="milliseconds")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(whole, whole, text)


@pass_context
def _hour(context: Context, id_: str) -> str:
    """When an hour of letters begins, in the viewer's zone; its id is of UTC. Other texts as is."""
    try:
        begins = datetime.strptime(id_, HOUR).replace(tzinfo=UTC)
        return begins.astimezone(context["zone"]).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError):
        return id_


@pass_context
def _ago(context: Context, when: datetime | None) -> str:
    """How long ago a moment was, such as ``3 min``."""
    return _duration(context, None if when is None else context["now"] - when)


@pass_context
def _duration(context: Context, length: timedelta | float | None) -> str:
    """A length in the largest unit that fits twice, or in seconds."""
    if length is None:
        return "–"
    whole = length.total_seconds() if isinstance(length, timedelta) else length
    seconds = max(0, round(whole))
    size, unit = next((s, u) for s, u in _UNITS if seconds >= 2 * s or s == 1)
    return f"{seconds // size:,} {context['translated'](unit)}"


def _encoded(value: str | dict[str, object]) -> str:
    """A text as a part of a path, or names and values as a query; whatever anybody wrote."""
    if isinstance(value, dict):
        return urlencode(value, errors="replace")
    return quote(value, safe="", errors="replace")


def _number(value: float | None) -> str:
    if value is None:
        return "?"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"


def _short(text: str | None, at_most: int = 160) -> str:
    """The beginning of a text that anybody may have written."""
    text = text or ""
    return text if len(text) <= at_most else f"{text[:at_most]}…"


@pass_context
def _jsonish(context: Context, value: object) -> str:
    """A result or a filter of an operation, for people: ``sent 12, failed …``."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if not isinstance(value, dict):
        return _short(str(value))
    told = (
        (name, _hour(context, str(inner)) if name == "hour" else inner)
        for name, inner in value.items()
    )
    translated = context["translated"]
    said = (wording.named(name, _plain(inner), translated) for name, inner in told if inner)
    return ", ".join(" ".join(each) for each in said)


def _plain(value: Any) -> str:  # noqa: ANN401 - any JSON
    if isinstance(value, str):
        return _short(value)
    return _short(json.dumps(value, ensure_ascii=False, default=str))
