"""The accounts of a run, which change while it lasts: what every replica has a file of."""

from __future__ import annotations

from dataclasses import dataclass

from tests.acceptance.kit import SECRET
from tests.chaos.evidence import Limit
from tests.chaos.names import APP, FORMER, KEYS, MAIN, RENAMED, ROAMING, SIDE

OTHER_RATES = "100/s"
"""Of the accounts that faults do not slow down."""
_SECONDS = {"s": 1.0, "m": 60.0}


@dataclass(frozen=True, slots=True)
class Accounts:
    """Whose each app is, and how fast the main account may call."""

    rates: str
    roaming: str = MAIN
    """The account that the roaming app belongs to."""
    renamed: str = FORMER[0]
    """What the third account is called."""

    def toml(self) -> str:
        """As an accounts file."""
        apps = {MAIN: [APP], SIDE: ["side-app"], self.renamed: [RENAMED]}
        apps[self.roaming].append(ROAMING)
        return "\n".join(
            f'[accounts.{name}]\napi_key = "{KEYS[name]}"\napi_secret = "{SECRET}"\n'
            f'app_ids = {owned}\nrate = "{self.rates if name == MAIN else OTHER_RATES}"\n'
            for name, owned in apps.items()
        )


def limits(rates: str) -> tuple[Limit, ...]:
    """``150/s,4500/m`` as limits."""
    parts = (part.split("/") for part in rates.split(","))
    return tuple(Limit(int(calls), _SECONDS[unit]) for calls, unit in parts)
