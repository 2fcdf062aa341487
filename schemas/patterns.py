r"""The forms of text in an edit, as regular expressions.

The same expressions judge in the worker (Rust's dialect) and in the published JSON Schema, by
whatever a publisher checks with, so they keep to what ECMA-262, Go (RE2), PCRE, Java, Python and
Rust take alike: no escapes of characters, no ``\d`` or ``\s`` (each dialect
has its own idea of digits and blanks), no looking around. Real dates, leap years included, can
be told without: that is why they are long.
"""

from __future__ import annotations

from typing import Final

_MONTH_AND_DAY = (
    r"((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)"
    r"|02-(0[1-9]|1[0-9]|2[0-8]))"
)
_YEAR = r"([0-9]{3}[1-9]|[0-9]{2}[1-9]0|[0-9][1-9]00|[1-9]000)"
_BY_FOUR = r"(0[48]|[2468][048]|[13579][26])"
_LEAP_YEAR = rf"([0-9]{{2}}{_BY_FOUR}|{_BY_FOUR}00)"
_DAY = rf"({_YEAR}-{_MONTH_AND_DAY}|{_LEAP_YEAR}-02-29)"
_MINUTE = r"([01][0-9]|2[0-3]):[0-5][0-9]"
_OFFSET = r"(Z|[+-]([01][0-9]|2[0-3])(:?[0-5][0-9])?)"
# The characters themselves, for the dialects spell an escape in three ways.
_BLANKS = "\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"

NOT_BLANK: Final = rf"[^{_BLANKS}]"
"""At least one character that is no white space of Unicode's."""

CLOCK_TIME: Final = rf"^{_MINUTE}$"
"""``HH:MM``, two digits each, from 00:00 to 23:59."""

CALENDAR_DATE: Final = rf"^{_DAY}$"
"""``YYYY-MM-DD``, a date that exists, in the years 0001 to 9999."""

DATE_TIME: Final = (
    rf"^{_DAY}( {_MINUTE}:[0-5][0-9]|[T ]{_MINUTE}(:[0-5][0-9]([.,][0-9]{{1,9}})?)?{_OFFSET})$"
)
"""The provider's ``YYYY-MM-DD HH:MM:SS``, or ISO 8601 with an offset: seconds, and a fraction of
them, may be left out; the offset is ``Z``, ``+08``, ``+0800`` or ``+08:00``."""
