"""Where settings are written: the environment, or a table of the accounts file."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from worker.settings import files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name`, whatever its case; None when none is like it."""
    by_case = {one.lower(): one for one in sorted(known)}
    found = get_close_matches(name.lower(), by_case, n=1)
    return by_case[found[0]] if found else None


Kind = TypeVar("Kind")

PREFIX = "TASKEDIT_"
QUOTES = "\"'"
"""Not every reader of env files takes them off, and no value begins and ends with one."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one setting: a sentence for the person who wrote it."""

    where: str
    """The variable, or such as ``accounts.acme.rate in /etc/taskedit/accounts.toml``."""
    what: str

    def __str__(self) -> str:
        return f"{self.where} {self.what}"


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything noticed while reading settings, so that it can be told at once."""

    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class SettingsSource:
    """Settings by their lower-case names, still as texts."""

    texts: Mapping[str, str]
    place: Callable[[str], str]
    """How a person finds a setting, from its name."""
    folder: Path
    """What relative paths are relative to."""
    findings: Findings

    def read(self, name: str, parse: Callable[[str], Kind], default: Kind) -> Kind:
        """A setting's value; the default when it is not there, or wrong."""
        return self._parsed(name, name, self.texts.get(name), parse, default)

    def secret(self, name: str, parse: Callable[[str], Kind], default: Kind) -> Kind:
        """The same for one that may also be in the file named by ``<name>_file``."""
        in_file = f"{name}_file"
        if in_file not in self.texts:
            return self.read(name, parse, default)
        if name in self.texts:
            self.wrong(name, f"is given twice: remove it or {self.place(in_file)}")
            return default
        text = self._parsed(in_file, in_file, self.texts[in_file], self._content, None)
        return self._parsed(in_file, name, text, parse, default)

    def within(self, text: str) -> Path:
        """The path that a setting names, absolute; `ValueError` for one that a shell would expand.

        Nobody expands it in a unit, a manifest or a TOML file: it would be a folder called ``~``.
        """
        if text.startswith(("~", "$")):
            raise ValueError(
                f"begins with {text[0]}, which only a shell expands: write the path out"
            )
        return self.folder / text

    def path(self, name: str, check: Callable[[Path], None]) -> Path | None:
        """The file that a setting names, absolute, once `check` is content with it."""

        def parse(text: str) -> Path:
            path = self.within(text)
            check(path)
            return path

        return self.read(name, parse, None)

    def has(self, *names: str) -> bool:
        """Whether any of these is given, in a file or as it is."""
        return any(one in self.texts for name in names for one in (name, f"{name}_file"))

    def wrong(self, name: str, what: str) -> None:
        """Note a problem; the first one of a setting is enough."""
        place = self.place(name)
        if all(problem.where != place for problem in self.findings.problems):
            self.findings.problems.append(Problem(place, what))

    def warn(self, name: str, what: str) -> None:
        """Note what is allowed and probably not meant."""
        self.findings.warnings.append(f"{self.place(name)} {what}")

    def unknown(self, known: Iterable[str]) -> list[tuple[str, str | None]]:
        """The names of no setting, each with the known one that was probably meant."""
        known = frozenset(known)
        return [(name, nearest(name, known)) for name in self.texts if name not in known]

    def _content(self, path: str) -> str:
        return files.secret(self.within(path))

    def _parsed(
        self,
        where: str,
        name: str,
        text: str | None,
        parse: Callable[[str], Kind],
        default: Kind,
    ) -> Kind:
        if text is None:
            return default
        try:
            if len(text) > 1 and text[0] == text[-1] and text[0] in QUOTES:
                raise ValueError("has quotes around it: write it without them")  # noqa: TRY301
            return parse(text)
        except ValueError as error:
            self.wrong(
                where, f"{error}" if where == name else f"names a file whose content {error}"
            )
            return default


def unknown_setting(place: str, meant: str | None) -> str:
    """What is said of a name that is no setting's."""
    return f"{place} is an unknown setting" + (f"; did you mean {meant}?" if meant else "")


def environment_source(environ: Mapping[str, str], findings: Findings) -> SettingsSource:
    """The ``TASKEDIT_…`` variables; an empty one counts as not given."""
    texts = {
        name.removeprefix(PREFIX).lower(): value.strip()
        for name, value in environ.items()
        if name.startswith(PREFIX) and name.isupper() and value.strip()
    }
    return SettingsSource(texts, lambda name: f"{PREFIX}{name.upper()}", Path.cwd(), findings)
