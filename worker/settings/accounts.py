"""The accounts: one from the environment, or one a table of the accounts file."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import SecretStr

from worker.account import Account
from worker.core.judge import Policy
from worker.settings import files, texts
from worker.settings import terms as account_terms
from worker.settings.source import Source, unknown_setting
from worker.settings.tables import account_tables, table_source, verdicts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from worker.core.judge import Fault
    from worker.settings.model import Terms
    from worker.settings.source import Findings

NAMES = frozenset(("api_key", "api_key_file", "api_secret", "api_secret_file", "app_ids"))
SOLE_ACCOUNT = "default"
_IN_A_TABLE = NAMES | account_terms.NAMES


def sole_account(
    environment: Source, terms: Terms, *, secrets_wanted: bool = True
) -> tuple[Account, ...]:
    """The account of the ``TASKEDIT_API_…`` variables; none when they are no good.

    Without `secrets_wanted` key and secret are neither read nor missed: they are empty.
    """
    found = _account(SOLE_ACCOUNT, environment, terms, {}, secrets_wanted=secrets_wanted)
    return () if found is None else (found,)


def accounts_in(
    path: Path, terms: Terms, findings: Findings, *, secrets_wanted: bool = True
) -> tuple[Account, ...]:
    """The accounts of a file: what their own tables say, and `terms` for all else.

    Raises `ValueError` with the rest of a sentence when the file cannot be read at all.
    """
    file = Source({}, lambda name: f"{name} in {path}", path.parent, findings)
    tables = account_tables(file, files.table(path))
    found = [
        one
        for name, table in tables.items()
        if (one := _of_table(file, name, table, terms, secrets_wanted=secrets_wanted)) is not None
    ]
    if len(tables) > 1:
        _refuse_overlaps(file, found)
    return tuple(found)


def _of_table(
    file: Source, name: str, table: Mapping[str, object], terms: Terms, *, secrets_wanted: bool
) -> Account | None:
    source = table_source(file, name, table)
    for key, meant in source.unknown(_IN_A_TABLE):
        source.wrong(key, unknown_setting("", meant).lstrip())
    own = account_terms.read_terms(source, terms)
    overrides = verdicts(source, table.get("verdicts", {}))
    return _account(name, source, own, overrides, secrets_wanted=secrets_wanted)


def _account(
    name: str,
    source: Source,
    terms: Terms,
    overrides: Mapping[str, Fault],
    *,
    secrets_wanted: bool,
) -> Account | None:
    key = source.secret("api_key", texts.credential, "") if secrets_wanted else ""
    secret = source.secret("api_secret", texts.credential, "") if secrets_wanted else ""
    for wanted in ("api_key", "api_secret"):
        if secrets_wanted and not source.has(wanted):
            source.wrong(wanted, f"is missing: give it, or {source.place(f'{wanted}_file')}")
    anything: frozenset[str] = frozenset()
    app_ids = source.read("app_ids", texts.app_ids, anything)
    if secrets_wanted and not (key and secret):
        return None
    return Account(
        name=name,
        api_key=key,
        api_secret=SecretStr(secret),
        endpoint=terms.endpoint,
        bounds=replace(terms.bounds, app_ids=app_ids),
        rates=terms.rates,
        concurrency=terms.concurrency,
        policy=Policy(terms.attempts, overrides),
        coalesce=terms.coalesce,
    )


def _refuse_overlaps(file: Source, accounts: Sequence[Account]) -> None:
    """Of several accounts each has its own appIds and its own key."""
    for one in accounts:
        if not one.bounds.app_ids:
            file.wrong(
                f"accounts.{one.name}.app_ids", "is missing: of several accounts each lists its own"
            )
    keys = ((account.api_key, account.name) for account in accounts if account.api_key)
    for _, names in _shared(keys):
        file.wrong(f"accounts.{names[1]}.api_key", f"is also that of accounts.{names[0]}")
    owners = ((app, account.name) for account in accounts for app in account.bounds.app_ids)
    for app, names in _shared(owners):
        file.wrong(f"accounts.{names[1]}.app_ids", f"lists {app}, as accounts.{names[0]} does")


def _shared(owners: Iterator[tuple[str, str]]) -> list[tuple[str, list[str]]]:
    """What has several owners, with their names."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for thing, owner in owners:
        found[thing].append(owner)
    return sorted((thing, names) for thing, names in found.items() if len(names) > 1)
