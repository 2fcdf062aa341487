"""Why a message is a stray, by RabbitMQ's own words and nobody else's."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pika.data
import pytest

from schemas import Reason
from tests.unit.builders import NAMES, SIGNED, delivery, head, properties
from worker.core.headers import Headers
from worker.core.settlement import handed_on, settle
from worker.core.unrouted import account_of, why_stray

if TYPE_CHECKING:
    from worker.core.message import Delivery

AT = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)


def taken(reason: str, queue: str = "task-edit.lane.acme", **more: Any) -> dict[str, Any]:  # noqa: ANN401 (as pika takes them)
    """An entry of x-death as RabbitMQ writes it."""
    return {
        "count": 1,
        "reason": reason,
        "queue": queue,
        "time": AT,
        "exchange": "task-edit",
        "routing-keys": ["LILIN888"],
    } | more


def stray(
    *deaths: object, exchange: str = "task-edit.strays", more: dict[str, Any] | None = None
) -> Delivery:
    pieces: list[bytes] = []
    table: dict[str, Any] = ({"x-death": list(deaths)} if deaths else {}) | (more or {})
    pika.data.encode_table(pieces, table)
    own = properties(headers=Headers(b"".join(pieces)[4:]))
    return delivery(exchange=exchange, properties=own, routing_key="LILIN888")


V3_10 = {"x-first-death-exchange": "task-edit", "x-first-death-queue": "task-edit.lane.acme"}
V4_0 = V3_10 | {"x-last-death-queue": "task-edit.lane.acme", "x-last-death-reason": "expired"}


@pytest.mark.parametrize("version", [V3_10, V4_0], ids=["3.10", "4.0"])
@pytest.mark.parametrize(
    ("cause", "reason", "word"),
    [
        ("expired", Reason.EXPIRED, "time to live"),
        ("delivery_limit", Reason.POISON, "delivery_limit"),
        ("rejected", Reason.POISON, "rejected"),
        ("maxlen", Reason.POISON, "maxlen"),
    ],
)
def test_what_the_broker_took_from_a_lane_says_so(
    version: dict[str, object], cause: str, reason: Reason, word: str
) -> None:
    message = stray(taken(cause), more=version)

    found = why_stray(message, NAMES)

    assert account_of(message, NAMES) == "acme"
    assert found.reason is reason
    assert word in found.detail


def test_the_newest_entry_counts() -> None:
    message = stray(taken("expired"), taken("delivery_limit", "task-edit.lane.other"))

    assert account_of(message, NAMES) == "acme"
    assert why_stray(message, NAMES).reason is Reason.EXPIRED


@pytest.mark.parametrize(
    "message",
    [
        stray(exchange="task-edit"),
        stray(taken("expired", "somebody.elses.queue")),
        stray(taken("expired", "task-edit.lane.NO GOOD")),
        stray(taken("expired", 7)),  # type: ignore[arg-type]
        stray("no table"),
        stray(more={"x-death": "no list"}),
        delivery(exchange="task-edit"),
    ],
    ids=["none", "other queue", "no account", "no text", "no table", "no list", "no headers"],
)
def test_what_reached_no_lane_is_of_an_unknown_app(message: Delivery) -> None:
    found = why_stray(message, NAMES)

    assert account_of(message, NAMES) is None
    assert found.reason is Reason.UNKNOWN_APP
    assert "LILIN888" in found.detail


@pytest.mark.parametrize("exchange", ["task-edit", "", "somebody.elses"])
def test_a_publishers_own_x_death_is_not_believed(exchange: str) -> None:
    """RabbitMQ hands what it takes from a lane to the strays' exchange, and so names that."""
    message = stray(taken("expired"), exchange=exchange)

    assert account_of(message, NAMES) is None
    assert why_stray(message, NAMES).reason is Reason.UNKNOWN_APP


@pytest.mark.parametrize("exchange", ["task-edit", ""])
def test_a_letter_of_what_the_broker_took_names_where_it_was_published(exchange: str) -> None:
    message = stray(taken("expired", exchange=exchange))

    assert said_of(message) == (exchange, "LILIN888")


def test_what_was_handed_on_before_the_broker_took_it_was_published_where_its_headers_say() -> None:
    first = delivery(exchange="", routing_key="task-edit.lane.other")
    own = handed_on(first, "other", "task-edit.lane.acme").properties.headers.table
    death = stray(taken("expired", exchange="")).properties.headers.table
    message = delivery(
        exchange="task-edit.strays",
        routing_key="task-edit.lane.acme",
        properties=properties(headers=Headers(death + own)),
    )

    assert said_of(message) == ("", "task-edit.lane.other")


def test_a_letter_of_what_reached_no_lane_names_where_it_was_published() -> None:
    assert said_of(stray(taken("expired"), exchange="task-edit"))[0] == "task-edit"
    assert said_of(stray(taken("expired", "somebody.elses.queue")))[0] == "task-edit.strays"


def test_a_key_that_is_too_long_for_one_is_no_letters_key() -> None:
    own = Headers.of({"taskedit-handed-on": "other", "taskedit-routing-key": "k" * 256})

    assert said_of(delivery(properties=properties(headers=own)))[1] == "_"


def said_of(message: Delivery) -> tuple[str | None, str | None]:
    """Exchange and routing key as the message's letter has them."""
    verdict = why_stray(message, NAMES)
    ended = settle(message, head(), verdict, attempts=0, now=AT, chance_id=lambda: "e-1", by=SIGNED)
    assert ended.letter is not None
    told = ended.letter.properties.headers
    return told.text("taskedit-exchange"), told.text("taskedit-routing-key")
