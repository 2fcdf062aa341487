"""The client and the simulated provider: one signature, one set of rules, every fault."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from ops.simulator.control import Simulator
from tests.contract.api.conftest import KEY, SECRET, endpoint
from worker.api.probe import probe
from worker.core.reply import Answered, Unanswered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops.simulator.faults.fault import Kind
    from tests.contract.api.conftest import NewClient
    from worker.api.client import Client
    from worker.core.reply import Reply, Shortage

EDIT = {
    "appId": "LILIN888",
    "jobId": 123,
    "name": "lilinname2",
    "dialogFlowId": 8663,
    "mode": "AUTO",
    "dailyStartDateTime": "09:00",
    "dailyEndDateTime": "20:00",
    "robotCount": 1,
    "jobPhoneNumberId": 2959,
    "redial": False,
    "startDateTime": "2022-09-16 08:00:00",
    "endDateTime": "2023-02-07 10:00:00",
}


@pytest.fixture(scope="module")
def started() -> Iterator[Simulator]:
    with Simulator() as simulator:
        simulator.account(KEY, SECRET)
        yield simulator


@pytest.fixture
def simulator(started: Simulator) -> Simulator:
    started.clear(record=True)
    started.settings(clock_offset=0)
    return started


@pytest.fixture
def client(simulator: Simulator, new_client: NewClient) -> Client:
    return new_client(simulator.url, call=2)


def call(client: Client, ago: float = 0, **changes: object) -> Reply | Shortage | None:
    """The reply to a good edit with some changes, signed so many seconds ago."""
    return client.call(json.dumps({**EDIT, **changes}).encode(), int(time.time() - ago))


def test_a_good_edit_is_applied_and_recorded(client: Client, simulator: Simulator) -> None:
    reply = call(client)
    assert isinstance(reply, Answered)
    assert (reply.status, reply.reason) == ("0", "success")
    assert reply.date is not None
    assert abs(reply.date - datetime.now(UTC)) < timedelta(minutes=1)
    [record] = simulator.calls()
    assert (record.account, record.job, record.applied) == (KEY, 123, True)


def test_an_old_timestamp_comes_back_with_the_servers_date(client: Client) -> None:
    reply = call(client, ago=86400)
    assert isinstance(reply, Answered)
    assert reply.status == "-4"
    assert reply.date is not None


def test_a_wrong_secret_is_refused(simulator: Simulator, client: Client) -> None:
    simulator.account("other", "another secret")
    simulator.account(KEY, "another secret")
    try:
        reply = call(client)
    finally:
        simulator.account(KEY, SECRET)
    assert isinstance(reply, Answered)
    assert reply.status == "-1"


@pytest.mark.parametrize("status", ["-3", "-5", "-33", "-46", "-60", "-999"])
def test_every_status_comes_through(status: str, simulator: Simulator, client: Client) -> None:
    simulator.answer(status)
    reply = call(client)
    assert isinstance(reply, Answered)
    assert reply.status == status


def test_a_status_that_is_a_number_is_read_as_text(simulator: Simulator, client: Client) -> None:
    simulator.settings(numeric_status=True)
    try:
        reply = call(client)
    finally:
        simulator.settings(numeric_status=False)
    assert isinstance(reply, Answered)
    assert reply.status == "0"


def test_the_probe_reaches_it_without_an_edit(simulator: Simulator) -> None:
    found = probe(endpoint(simulator.url))
    assert found.reached
    assert isinstance(found.reply, Answered)
    assert found.reply.status in {"-57", "-58", "-59"}
    assert found.skew is not None
    assert abs(found.skew) < timedelta(minutes=1)
    assert [(call.job, call.applied) for call in simulator.calls()] == [(None, False)]
    elsewhere = probe(endpoint(simulator.url.replace("aivoice", "elsewhere"))).reply
    assert isinstance(elsewhere, Answered)
    assert elsewhere.status == "http:404"


def test_the_probe_tells_how_far_off_our_clock_is(simulator: Simulator) -> None:
    simulator.settings(clock_offset=-3600)
    found = probe(endpoint(simulator.url))
    assert found.skew is not None
    assert timedelta(minutes=59) < found.skew < timedelta(minutes=61)


SENT_ON = [
    ("split", {"size": 1}, "0"),
    ("chunked", {"size": 7}, "0"),
    ("gzip", {}, "0"),
    ("unframed", {}, "0"),
    ("wrong_type", {}, "0"),
    ("interim", {"code": 103}, "0"),
    ("close", {}, "0"),
    ("close_silently", {}, "0"),
    ("close_silently", {"reset": True}, "0"),
    ("junk_after", {"body": "HTTP/1.1 200 OK"}, "0"),
    ("drip_body", {"size": 20, "every": "1ms"}, "0"),
    ("drip_headers", {"size": 20, "every": "1ms"}, "0"),
    ("drip_body", {"size": 1, "every": "200ms"}, None),
    ("drip_headers", {"size": 1, "every": "200ms"}, None),
    ("drop_before_reply", {}, None),
    ("drop_mid_headers", {}, None),
    ("drop_mid_reply", {"reset": True}, None),
]
REPLACED = [
    ("http", {"code": 500, "form": "spring"}, None),
    ("http", {"code": 502, "form": "html"}, None),
    ("http", {"code": 503}, None),
    ("http", {"code": 503, "retry_after": "5"}, "http:503"),
    ("http", {"code": 429, "retry_after": "date+30"}, "http:429"),
    ("http", {"code": 403, "form": "json"}, "http:403"),
    ("redirect", {"body": "http://127.0.0.1:1/"}, "http:302"),
    ("html", {}, None),
    ("no_content", {}, None),
    ("body", {"body": '{"status": NaN}'}, None),
    ("raw", {}, None),
    ("raw_open", {"body": "220 mail.example ESMTP\r\n"}, None),
    ("drop_after_reading", {}, None),
    ("drop_after_reading", {"reset": True}, None),
    ("stall", {}, None),
    ("endless_headers", {}, None),
    ("endless_body", {}, None),
    ("gzip_bomb", {"size": 20}, None),
]


@pytest.mark.parametrize(
    ("kind", "parts", "status"),
    SENT_ON + REPLACED,
    ids=[f"{kind} {parts}" for kind, parts, _ in SENT_ON + REPLACED],
)
def test_every_fault_is_taken_for_what_it_is(
    kind: Kind, parts: dict[str, Any], status: str | None, simulator: Simulator, client: Client
) -> None:
    """On a connection that was good before; and the next call is good again."""
    assert isinstance(call(client), Answered)
    simulator.fault(kind, times=1, **parts)
    reply = call(client)
    if status is None:
        assert isinstance(reply, Unanswered)
    else:
        assert isinstance(reply, Answered)
        assert reply.status == status
    assert len(simulator.calls()) == 2  # and by now it has closed what it wanted to close
    again = call(client)
    assert isinstance(again, Answered)
    assert again.status == "0"


@pytest.mark.parametrize(
    ("retry_after", "least", "most"),
    [
        ("7", 7, 7),
        ("1.5", 1.5, 1.5),
        ("-5", 0, 0),
        ("date+30", 29, 30),
        ("date-30", 0, 0),
        ("99999999", 3600, 3600),
    ],
)
def test_the_pause_that_is_asked_for(
    retry_after: str, least: float, most: float, simulator: Simulator, client: Client
) -> None:
    simulator.fault("http", code=429, retry_after=retry_after, times=1)
    reply = call(client)
    assert isinstance(reply, Answered)
    assert reply.retry_after is not None
    assert timedelta(seconds=least) <= reply.retry_after <= timedelta(seconds=most)


def test_a_pause_that_cannot_be_read_is_none(simulator: Simulator, client: Client) -> None:
    simulator.fault("http", code=429, retry_after="soon", times=1)
    reply = call(client)
    assert isinstance(reply, Answered)
    assert (reply.status, reply.retry_after) == ("http:429", None)


def test_an_outage_is_no_answer_and_ends(simulator: Simulator, client: Client) -> None:
    assert isinstance(call(client), Answered)
    simulator.restart()
    assert isinstance(call(client), Answered)
    simulator.state("down")
    assert isinstance(call(client), Unanswered)
    simulator.state("running")
    assert isinstance(call(client), Answered)
