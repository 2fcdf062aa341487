"""What one account adds to the rules of an edit."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

_PROVIDERS_LENGTH: Final = len("YYYY-MM-DD HH:MM:SS")
_PROVIDERS_SECOND_COLON: Final = len("YYYY-MM-DD HH:MM")


def _providers_zone() -> ZoneInfo:
    """Return the zone of the provider's date-times, as far as its examples tell."""
    return ZoneInfo("Asia/Shanghai")


@dataclass(frozen=True, slots=True)
class Bounds:
    """An account's own bounds: its zone, its daily window and the appIds that are its own.

    `earliest` and `latest` are ``HH:MM``. No `app_ids` at all means any. With exactly one, an
    edit may leave its appId out.
    """

    zone: ZoneInfo = field(default_factory=_providers_zone)
    earliest: str = "09:00"
    latest: str = "20:00"
    app_ids: frozenset[str] = frozenset()

    @property
    def sole_app_id(self) -> str | None:
        """The appId that goes without saying, if there is one."""
        return next(iter(self.app_ids)) if len(self.app_ids) == 1 else None

    def local(self, moment: str) -> str | None:
        """Return an edit's date-time in the provider's form, in the account's zone.

        Takes what `schemas.patterns.DATE_TIME` matches; a fraction of a second is cut off. None
        when the account's zone moves it out of the years 0001 to 9999.
        """
        if len(moment) == _PROVIDERS_LENGTH and moment[_PROVIDERS_SECOND_COLON] == ":":
            return moment
        try:
            local = datetime.fromisoformat(moment).astimezone(self.zone)
        except OverflowError:
            return None
        return local.replace(tzinfo=None).isoformat(sep=" ", timespec="seconds")
