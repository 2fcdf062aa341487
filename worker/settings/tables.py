"""The accounts file: TOML, one table per account with the variables' names in lower case."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from worker.settings import texts
from worker.settings.source import Source

if TYPE_CHECKING:
    from collections.abc import Mapping

    from worker.core.judge import Fault

_NAME = re.compile(r"[a-z0-9-]{1,40}")


def account_tables(file: Source, content: Mapping[str, object]) -> dict[str, Mapping[str, object]]:
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
        if _NAME.fullmatch(name) is None:
            file.wrong(
                f"accounts.{name}", "is not a valid account name: write 1 to 40 of a-z, 0-9 and -"
            )
        elif not isinstance(table, dict):
            file.wrong(f"accounts.{name}", f"is not a table: write [accounts.{name}]")
        else:
            found[name] = table
    return found


def table_source(file: Source, name: str, table: Mapping[str, object]) -> Source:
    """An account's table as texts, less its `verdicts`."""
    found: dict[str, str] = {}
    source = Source(
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


def verdicts(source: Source, table: object) -> Mapping[str, Fault]:
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
