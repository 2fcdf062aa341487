"""The accounts: one from the environment, or one a table of the accounts file.

The file is TOML, a table an account, with the variables' names in lower case. What a table leaves
out, the environment says for all.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING

from pydantic import SecretStr

from schemas import Bounds
from worker.account import Account, Endpoint
from worker.core.judge import Policy
from worker.core.rate_limit import Rate
from worker.settings import files, texts
from worker.settings.model import AccountDefaults
from worker.settings.source import SettingsSource, unknown_setting

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from worker.core.judge import Fault
    from worker.settings.source import Findings


TERMS = frozenset(
    (
        "api_url",
        "api_timezone",
        "rate",
        "concurrency",
        "attempts",
        "connect_timeout",
        "call_timeout",
        "http_proxy",
        "http_proxy_file",
        "ca_file",
        "daily_window",
        "coalesce",
    )
)
PROVIDERS_API = "https://api.itniotech.com/aivoice"
ASSUMED_LATENCY = 1.0
"""Seconds that a call may well take: concurrency is held against the rate with it."""
_SECOND = timedelta(seconds=1)
_CONNECT = texts.duration(_SECOND / 10, 60 * _SECOND)
_CALL = texts.duration(_SECOND / 2, 600 * _SECOND)


def default_terms() -> AccountDefaults:
    """What holds when an operator says nothing."""
    return AccountDefaults(
        Endpoint(PROVIDERS_API),
        Bounds(),
        rates=(Rate(10, 1.0),),
        concurrency=16,
        attempts=5,
        coalesce=False,
    )


def read_terms(source: SettingsSource, given: AccountDefaults) -> AccountDefaults:
    """What `source` says, and `given` for all that it does not."""
    earliest, latest = source.read(
        "daily_window", texts.window, (given.bounds.earliest, given.bounds.latest)
    )
    found = AccountDefaults(
        endpoint=_endpoint(source, given.endpoint),
        bounds=Bounds(source.read("api_timezone", texts.zone, given.bounds.zone), earliest, latest),
        rates=source.read("rate", texts.limits, given.rates),
        concurrency=source.read("concurrency", texts.number(1, 200), given.concurrency),
        attempts=source.read("attempts", texts.number(1, 20), given.attempts),
        coalesce=source.read("coalesce", texts.switch, given.coalesce),
    )
    _warn(source, found)
    return found


def _endpoint(source: SettingsSource, given: Endpoint) -> Endpoint:
    ca_file = source.path("ca_file", files.certificates)
    return Endpoint(
        url=source.read("api_url", texts.api, given.url),
        connect_timeout=source.read("connect_timeout", _CONNECT, given.connect_timeout),
        call_timeout=source.read("call_timeout", _CALL, given.call_timeout),
        proxy=source.secret("http_proxy", texts.proxy, given.proxy),
        ca_file=given.ca_file if ca_file is None else str(ca_file),
    )


def _warn(source: SettingsSource, terms: AccountDefaults) -> None:
    """What is allowed and probably not meant; said where it was written, or not at all."""
    limit = min(terms.rates, key=lambda rate: rate.calls / rate.seconds)
    enough_for = terms.concurrency * limit.seconds / limit.calls
    if enough_for < ASSUMED_LATENCY and source.has("rate", "concurrency"):
        source.warn(
            "concurrency",
            f"is {terms.concurrency}: enough for {limit} only while a call takes less than"
            f" {texts.shown(timedelta(seconds=enough_for))}",
        )
    if texts.is_clear_text(terms.endpoint.url) and source.has("api_url"):
        source.warn("api_url", "begins with http://: what is sent can be read on the way")
    if source.has("connect_timeout", "call_timeout") and (
        terms.endpoint.connect_timeout > terms.endpoint.call_timeout
    ):
        source.warn("connect_timeout", "is longer than the whole call may take")


def account_tables(
    file: SettingsSource, content: Mapping[str, object]
) -> dict[str, Mapping[str, object]]:
    """The accounts' tables by name; what else is in the file is noted as wrong."""
    for name in content:
        if name != "accounts":
            file.wrong(
                name, "is an unknown setting: write a table per account, like [accounts.acme]"
            )
    accounts = content.get("accounts")
    if not isinstance(accounts, dict) or not accounts:
        file.wrong("accounts", "is missing: write a table per account, like [accounts.acme]")
        return {}
    found: dict[str, Mapping[str, object]] = {}
    for name, table in accounts.items():
        try:
            texts.account_name(name)
        except ValueError as error:
            file.wrong(f"accounts.{name}", str(error))
            continue
        if isinstance(table, dict):
            found[name] = table
        else:
            file.wrong(f"accounts.{name}", f"is not a table: write [accounts.{name}]")
    return found


def table_source(file: SettingsSource, name: str, table: Mapping[str, object]) -> SettingsSource:
    """An account's table as texts, less its `verdicts`."""
    found: dict[str, str] = {}
    source = SettingsSource(
        found, lambda key: file.place(f"accounts.{name}.{key}"), file.folder, file.findings
    )
    for key, value in table.items():
        if key == "verdicts":
            continue
        try:
            text = _text(value, may_be_list=key == "app_ids", may_be_switch=key == "coalesce")
        except ValueError as error:
            source.wrong(key, str(error))
        else:
            found |= {key: text} if text else {}
    return source


def verdicts(source: SettingsSource, table: object) -> Mapping[str, Fault]:
    """The account's own judgement of API statuses."""
    if not isinstance(table, dict):
        source.wrong("verdicts", 'is not a table: write one like { "-52" = "retry" }')
        return {}
    found: dict[str, Fault] = {}
    for status, fault in table.items():
        try:
            found |= (texts.verdict(status, fault),)
        except ValueError as error:
            source.wrong("verdicts", str(error))
    return MappingProxyType(found)


def _text(value: object, *, may_be_list: bool, may_be_switch: bool) -> str:
    match value:
        case str():
            return value.strip()
        case bool() if may_be_switch:
            return str(value)
        case bool():
            raise ValueError("is true or false: write text or a number")
        case int() | float():
            return str(value)
        case list() if may_be_list and all(
            isinstance(one, str) and "," not in one for one in value
        ):
            return ",".join(value)
        case _ if may_be_list:
            raise ValueError('must be a list of texts: write one like ["LILIN888"]')
        case _:
            raise ValueError("must be text or a number")


NAMES = frozenset(("api_key", "api_key_file", "api_secret", "api_secret_file", "app_ids"))
SOLE_ACCOUNT = "default"
_IN_A_TABLE = NAMES | TERMS


def sole_account(
    environment: SettingsSource, terms: AccountDefaults, *, secrets_wanted: bool = True
) -> tuple[Account, ...]:
    """The account of the ``TASKEDIT_API_…`` variables; none when they are no good.

    Without `secrets_wanted` key and secret are neither read nor missed: they are empty.
    """
    found = _account(SOLE_ACCOUNT, environment, terms, {}, secrets_wanted=secrets_wanted)
    return () if found is None else (found,)


def accounts_in(
    path: Path, terms: AccountDefaults, findings: Findings, *, secrets_wanted: bool = True
) -> tuple[Account, ...]:
    """The accounts of a file: what their own tables say, and `terms` for all else.

    Raises `ValueError` with the rest of a sentence when the file cannot be read at all.
    """
    file = SettingsSource({}, lambda name: f"{name} in {path}", path.parent, findings)
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
    file: SettingsSource,
    name: str,
    table: Mapping[str, object],
    terms: AccountDefaults,
    *,
    secrets_wanted: bool,
) -> Account | None:
    source = table_source(file, name, table)
    for key, meant in source.unknown(_IN_A_TABLE):
        source.wrong(key, unknown_setting("", meant).lstrip())
    own = read_terms(source, terms)
    overrides = verdicts(source, table.get("verdicts", {}))
    return _account(name, source, own, overrides, secrets_wanted=secrets_wanted)


def _account(
    name: str,
    source: SettingsSource,
    terms: AccountDefaults,
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


def _refuse_overlaps(file: SettingsSource, accounts: Sequence[Account]) -> None:
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
