"""A delivery read: an edit that may be called, or the reason why not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from schemas import Invalid, Malformed, Reason, api_body, cloudevent, document, names, validate
from worker.core.identity import Identity, identity, stated_message_id
from worker.core.message import legible
from worker.core.verdict import Rejected

if TYPE_CHECKING:
    from schemas import Bounds
    from worker.core.message import Delivery


@dataclass(frozen=True, slots=True)
class MessageInfo:
    """What is known of a message besides its edit; all of it goes into its event."""

    account: str | None
    message_id: str | None
    correlation_id: str | None
    app_id: str | None
    job_id: int | None
    identity: Identity | None


@dataclass(frozen=True, slots=True)
class Edit:
    """An edit that keeps to every rule: who it is, and the request body that states it."""

    head: MessageInfo
    job: int
    request: bytes
    """JSON as the API takes it."""


@dataclass(frozen=True, slots=True)
class Undecodable:
    """A message that no call can be made of: settled as rejected."""

    head: MessageInfo
    verdict: Rejected


def decode(delivery: Delivery, account: str | None, bounds: Bounds) -> Edit | Undecodable:
    """Read a delivery by the account's bounds. Pure; raises nothing that a publisher can cause."""
    message_id, found = _opened(delivery)
    if isinstance(found, Malformed):
        return Undecodable(unread(delivery, account), Rejected(Reason.MALFORMED, found.detail))
    task = validate(found, bounds)
    head = _info(delivery, account, bounds, message_id, found)
    if isinstance(task, Invalid):
        return Undecodable(head, Rejected(Reason.INVALID, task.detail, task.problems))
    return Edit(head, task.jobId, api_body(task, bounds))


def message_info(delivery: Delivery, account: str | None, bounds: Bounds) -> MessageInfo:
    """What is known of a message besides its edit, whether that keeps to the rules or not."""
    message_id, found = _opened(delivery)
    if isinstance(found, Malformed):
        return unread(delivery, account)
    return _info(delivery, account, bounds, message_id, found)


def _opened(delivery: Delivery) -> tuple[str | None, dict[str, Any] | Malformed]:
    """The message's id and its edit as JSON, out of the CloudEvent if it came in one."""
    message_id = stated_message_id(delivery)
    found = document.read(delivery.body)
    if not isinstance(found, Malformed) and _is_cloudevent(delivery.properties.content_type):
        opened = cloudevent.unwrap(found)
        if isinstance(opened, Malformed):
            return message_id, opened
        return opened
    return message_id, found


def _info(
    delivery: Delivery,
    account: str | None,
    bounds: Bounds,
    message_id: str | None,
    found: dict[str, Any],
) -> MessageInfo:
    return MessageInfo(
        account,
        message_id,
        legible(delivery.properties.correlation_id),
        _text(found.get("appId")) or bounds.sole_app_id,
        _whole(found.get("jobId")),
        identity(delivery, account, message_id),
    )


def unread(delivery: Delivery, account: str | None) -> MessageInfo:
    """What is known of a message whose body was not, or could not be, read."""
    message_id = stated_message_id(delivery)
    return MessageInfo(
        account,
        message_id,
        legible(delivery.properties.correlation_id),
        None,
        None,
        identity(delivery, account, message_id),
    )


def _is_cloudevent(content_type: str | None) -> bool:
    if content_type is None or content_type == "application/json":
        return False
    return content_type.partition(";")[0].strip().lower() == names.CLOUDEVENTS_CONTENT_TYPE


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _whole(value: object) -> int | None:
    return value if type(value) is int and 1 <= value < 2**63 else None
