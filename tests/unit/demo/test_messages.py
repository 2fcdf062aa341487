from __future__ import annotations

from collections import Counter

from ops.demo.messages import Message, messages, written
from ops.demo.worker import CLIENTS
from schemas import Bounds, Invalid, Malformed, TaskEdit, read, validate

SENT = messages()
UNFIT = {"malformed", "invalid"}


def test_the_file_is_as_it_is_written() -> None:
    assert written() == SENT


def test_some_hundreds_of_messages_tell_every_story() -> None:
    reasons = {"malformed", "invalid", "unknown_app", "api_rejected", "exhausted"}
    assert len(SENT) > 300
    assert {message.expect for message in SENT} == {"applied", *reasons}
    assert max(Counter(message.id for message in SENT).values()) == 2


def test_what_is_expected_is_what_the_contract_says() -> None:
    for message in SENT:
        said = verdict(message)
        assert said == message.expect or (said == "good" and message.expect not in UNFIT), message


def verdict(message: Message) -> str:
    own = [client.app_ids for client in CLIENTS if message.key in client.app_ids]
    bounds = Bounds(app_ids=frozenset(own[0] if own else (message.key,)))
    document = read(message.body.encode())
    match document if isinstance(document, Malformed) else validate(document, bounds):
        case Malformed():
            return "malformed"
        case Invalid():
            return "invalid"
        case TaskEdit():
            return "good"
