from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from schemas import Bounds
from tests.unit.builders import NAMES, NOW, delivery, headers, properties
from tests.unit.deadletters.dead import ended
from worker.core.decode import decode
from worker.core.headers import Headers
from worker.core.message import Delivery
from worker.deadletters.letter import read, to_publication

if TYPE_CHECKING:
    from worker.deadletters.letter import Resubmission


def sent(dead: Delivery, *, redrives: int = 1, body: bytes | None = None) -> Resubmission:
    return to_publication(read(dead, 1), dead, NAMES, redrives=redrives, body=body)


def test_a_letter_goes_back_to_its_own_lane_as_the_message_that_it_was() -> None:
    own = headers(traceparent="00-1-2-03", own="kept")
    had = properties(headers=own, correlation_id="c", reply_to="r", priority=3, expiration="60000")
    message = delivery(properties=had)
    publication = sent(ended(message).dead).publication
    assert (publication.exchange, publication.routing_key) == ("", "task-edit.lane.acme")
    assert publication.body == message.body
    assert dict(publication.properties.headers) == dict(
        headers(traceparent="00-1-2-03", own="kept", taskedit_redrives="1")
    )
    assert publication.properties == replace(
        had,
        headers=publication.properties.headers,
        expiration=None,
        delivery_mode=2,
    )


def test_a_letter_of_no_account_goes_to_the_exchange_by_its_routing_key() -> None:
    publication = sent(ended(account=None).dead).publication
    assert (publication.exchange, publication.routing_key) == ("task-edit", "LILIN888")


def test_a_letter_whose_routing_key_is_too_long_for_one_is_sent_again_all_the_same() -> None:
    dead = ended(account=None).dead
    own = dead.properties.headers.merged({"taskedit-routing-key": "k" * 256})
    dead = replace(dead, properties=replace(dead.properties, headers=own))
    assert sent(dead).publication.routing_key == "_"


def test_what_rabbitmq_would_act_upon_is_left_out() -> None:
    dead = ended().dead
    acted = Headers.of({"x-death": "1", "X-Delay": "1", "CC": "a", "BCC": "b"})
    more = Headers(dead.properties.headers.table + acted.table)
    dead = replace(dead, properties=replace(dead.properties, headers=more, user_id="guest"))
    publication = sent(dead).publication
    assert [name for name, _ in publication.properties.headers] == ["taskedit-redrives"]
    assert publication.properties.user_id is None


@pytest.mark.parametrize("content_type", ["application/json", "application/cloudevents+json"])
@pytest.mark.parametrize("message_id", ["m-1", None])
@pytest.mark.parametrize("content", [None, b"no json", b'{"specversion":"1.0","id":"e","data":{}}'])
def test_who_it_will_be_is_what_the_lane_reads(
    content_type: str, message_id: str | None, content: bytes | None
) -> None:
    had = properties(content_type=content_type, message_id=message_id)
    dead = ended(delivery(content, properties=had)).dead
    message = sent(dead, redrives=4)
    publication = message.publication
    taken = Delivery(1, "", "k", False, publication.properties, publication.body, NOW)
    read_again = decode(taken, "acme", Bounds()).head.identity
    assert message.identity == read_again
    assert read_again is not None
    assert read_again.redrives == 4
    letter = read(dead, 1)
    assert letter.identity is not None
    assert replace(letter.identity, redrives=4) == read_again


def test_a_mended_body_is_another_message() -> None:
    dead = ended().dead
    mended = sent(dead, body=b'{"jobId":5}')
    assert mended.publication.body == b'{"jobId":5}'
    assert mended.identity != sent(dead).identity
