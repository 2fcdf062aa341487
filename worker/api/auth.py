"""The provider's signature, as requests attaches it: lower-case hex MD5 in the header `Sign`."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import md5
from typing import TYPE_CHECKING

from requests.auth import AuthBase

if TYPE_CHECKING:
    from requests import PreparedRequest


@dataclass(frozen=True, slots=True)
class SignatureAuth(AuthBase):
    """Signs a request for one moment: the headers `Api-Key`, `Timestamp` and `Sign`."""

    api_key: str
    api_secret: str = field(repr=False)
    timestamp: int
    """Epoch seconds."""

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        """The same request with its credentials."""
        moment = str(self.timestamp)
        r.headers["Api-Key"] = self.api_key
        r.headers["Timestamp"] = moment
        r.headers["Sign"] = signature(self.api_key, self.api_secret, moment)
        return r


def signature(api_key: str, api_secret: str, timestamp: str) -> str:
    """The `Sign` header for a `Timestamp` header of epoch seconds as text.

    The body is not signed (the provider's Java and PHP samples). MD5 is the provider's choice;
    `usedforsecurity=False` keeps it working on machines in FIPS mode.
    """
    text = f"{api_key}{api_secret}{timestamp}".encode()
    return md5(text, usedforsecurity=False).hexdigest()
