"""An edit that arrives in a structured CloudEvent (CloudEvents 1.0, JSON format)."""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import Any, Final

from schemas.document import Malformed, read

_SPEC_VERSION: Final = "1.0"


def unwrap(document: dict[str, Any]) -> tuple[str, dict[str, Any]] | Malformed:
    """Return the event's id, which stands for the message id, and the edit that is its data.

    `document` is what `schemas.document.read` gives for the whole event. The data is an object,
    or base64 of its JSON. Attributes that do not matter here are not looked at.
    """
    if document.get("specversion") != _SPEC_VERSION:
        return Malformed('The CloudEvent\'s specversion is not "1.0".')
    event_id = document.get("id")
    if not isinstance(event_id, str) or not event_id:
        return Malformed("The CloudEvent has no id.")
    edit = _data(document)
    return edit if isinstance(edit, Malformed) else (event_id, edit)


def _data(document: dict[str, Any]) -> dict[str, Any] | Malformed:
    data, encoded = document.get("data"), document.get("data_base64")
    if isinstance(encoded, str) and data is None:
        return _decoded(encoded)
    if encoded is not None:
        return Malformed("The CloudEvent's data_base64 is no text, or there is data beside it.")
    if not isinstance(data, dict):
        return Malformed("The CloudEvent's data is not a JSON object.")
    return data


def _decoded(encoded: str) -> dict[str, Any] | Malformed:
    try:
        body = b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return Malformed("The CloudEvent's data_base64 is not base64.")
    edit = read(body)
    if isinstance(edit, Malformed):
        return Malformed(f"In the CloudEvent's data_base64: {edit.detail}")
    return edit
