"""The provider's signature, as requests attaches it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from requests.auth import AuthBase

from worker.core.sign import signature

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
