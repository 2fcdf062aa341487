"""The provider's signature: lower-case hex MD5 of key, secret and timestamp."""

from __future__ import annotations

from hashlib import md5


def signature(api_key: str, api_secret: str, timestamp: str) -> str:
    """The `Sign` header for a `Timestamp` header of epoch seconds as text.

    The body is not signed (the provider's Java and PHP samples). MD5 is the provider's choice;
    `usedforsecurity=False` keeps it working on machines in FIPS mode.
    """
    text = f"{api_key}{api_secret}{timestamp}".encode()
    return md5(text, usedforsecurity=False).hexdigest()
