"""The console as operators meet it: a process, a real worker, RabbitMQ and the simulated API."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from html import unescape
from typing import TYPE_CHECKING

import pytest
import requests

from tests.acceptance.hostile import corpus
from tests.acceptance.kit import connected, edit, publish, until
from tests.contract.console.conftest import SAME_ORIGIN
from tests.contract.console.test_command import started

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops.simulator.control import Simulator
    from tests.acceptance.conftest import NewWorker
    from tests.acceptance.kit import Subscriber
    from tests.conftest import NewNode

pytestmark = [pytest.mark.timeout(180), pytest.mark.slow]

WITHIN = 6.0
"""Seconds in which a page shows what has happened to an account."""


class Visitor:
    """Somebody who has signed in, without JavaScript."""

    def __init__(self, session: requests.Session, url: str) -> None:
        self._session = session
        self.url = url

    def page(self, path: str = "/") -> str:
        """What is written on a page, without its tags."""
        return words(self._session.get(self.url + path, timeout=20).text)

    def html(self, path: str) -> str:
        """A page as it was sent."""
        return self._session.get(self.url + path, timeout=20).text

    @contextmanager
    def stream(self, path: str) -> Iterator[Iterator[str]]:
        """The lines of an answer that does not end."""
        with self._session.get(self.url + path, stream=True, timeout=20) as answer:
            yield answer.iter_lines(chunk_size=1, decode_unicode=True)

    def post(self, path: str, **fields: str) -> str:
        """Send a form; the path that it led to."""
        answer = self._session.post(self.url + path, fields, timeout=20)
        assert answer.ok, words(answer.text)
        return answer.url.removeprefix(self.url)


def words(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


@contextmanager
def visited(amqp_url: str, namespace: str) -> Iterator[Visitor]:
    with (
        started(TASKEDIT_AMQP_URL=amqp_url, TASKEDIT_NAMESPACE=namespace) as (_, url, code),
        requests.Session() as session,
    ):
        session.trust_env = False
        session.headers.update(SAME_ORIGIN)
        session.post(f"{url}/sign-in", {"code": code}, timeout=20)
        yield Visitor(session, url)


@pytest.fixture
def visitor(amqp_url: str, namespace: str, events: Subscriber) -> Iterator[Visitor]:
    del events  # a first worker has declared everything
    with visited(amqp_url, namespace) as found:
        yield found


def test_a_suspended_account_is_said_at_once_with_its_remedy_and_gone_when_it_recovers(
    visitor: Visitor, new_worker: NewWorker, simulator: Simulator, amqp_url: str, namespace: str
) -> None:
    worker = new_worker()
    publish(amqp_url, namespace, [edit(1)])
    until(lambda: "Nothing to do" in visitor.page(), 20)

    simulator.state("balance_gone")
    publish(amqp_url, namespace, [edit(2)], ids="late")
    until(lambda: "default is suspended : balance exhausted ( -3 )" in visitor.page(), WITHIN)
    assert "Do: Top up." in visitor.page()

    simulator.state("running")
    until(lambda: worker.lane()["state"] == "running", 70)
    until(lambda: "is suspended" not in visitor.page(), WITHIN)


def test_without_rabbitmq_the_page_answers_and_is_live_again_soon(
    new_node: NewNode, namespace: str
) -> None:
    node = new_node()
    with visited(node.amqp_url, namespace) as visitor:
        until(lambda: "No worker answers." in visitor.page(), 20)
        node.stop()
        until(lambda: "RabbitMQ has not answered since" in visitor.page(), 20)
        assert "so nothing can be done now" in visitor.page("/dead")
        assert requests.get(f"{visitor.url}/healthz", timeout=10).status_code == 200
        node.start()
        until(lambda: "RabbitMQ has not answered" not in visitor.page(), 15)


def test_letters_are_looked_at_mended_sent_and_discarded_from_the_pages(
    visitor: Visitor,
    new_worker: NewWorker,
    simulator: Simulator,
    events: Subscriber,
    amqp_url: str,
    namespace: str,
) -> None:
    new_worker(HEARTBEAT="1s")
    publish(amqp_url, namespace, [edit(7, robotCount=0)], ids="bad")
    simulator.answer("-33", job=8)
    publish(amqp_url, namespace, [edit(8) for _ in range(12)], ids="taken")
    until(lambda: len(events.settled()) == 13)
    until(lambda: "12" in visitor.page("/dead") and "robotCount" in visitor.page("/dead"), 20)

    # Mended: the bad field is named first, then the mended body is applied once.
    key = re.findall(r"/dead/letters/([^\"/?]+)\"", visitor.html("/dead/letters?reason=invalid"))[0]
    assert "robotCount" in visitor.page(f"/dead/letters/{key}")
    mend = f"/dead/letters/{key}/mend"
    assert visitor.post(mend, body=json.dumps(edit(7, robotCount=-1)), do="plan") == mend
    plan = visitor.post(mend, body=json.dumps(edit(7, robotCount=2)), do="plan")
    until(lambda: "1 will be sent" in visitor.page(plan), 20)
    operation = visitor.post(f"{plan}/run", how="all", why="INC-4711")
    assert visitor.post(f"{plan}/run", how="all", why="again") == operation
    until(lambda: events.settled().get("bad-0") == "applied", 20)
    until(lambda: "ended" in visitor.page(operation), 20)
    assert sum(call.job == 7 for call in simulator.calls()) == 1

    # Sent again while the API still refuses: the canary stops after its first step.
    plan = visitor.post("/plans?reason=api_rejected", action="redrive")
    until(lambda: "12 will be sent" in visitor.page(plan), 20)
    operation = visitor.post(f"{plan}/run", how="canary", canary="5", stop_at="10")
    until(lambda: "running" not in visitor.page(operation), 60)
    assert sum(call.job == 8 for call in simulator.calls()) == 12 + 5

    # Discarded: exactly those that are left, and the log says who.
    until(lambda: "12 dead letters" in visitor.page("/dead/letters"), 20)
    plan = visitor.post("/plans?reason=api_rejected", action="discard")
    until(lambda: "12 are taken out for good" in visitor.page(plan), 20)
    visitor.post(f"{plan}/run", how="all")
    until(lambda: "No dead letters." in visitor.page("/dead"), 20)
    log = visitor.page("/operations")
    assert log.count("(cli)") == 0
    assert "INC-4711" in log
    assert "discarded" in log


def test_an_account_is_paused_from_its_page_and_the_job_tells_what_became_of_it(
    visitor: Visitor, new_worker: NewWorker, events: Subscriber, amqp_url: str, namespace: str
) -> None:
    worker = new_worker(HEARTBEAT="1s")
    publish(amqp_url, namespace, [edit(5)])
    until(lambda: "m-0" in events.settled())
    until(lambda: "applied" in visitor.page("/jobs/5"), 20)

    visitor.post("/accounts/default/pause", why="INC-4711")
    assert worker.lane()["state"] == "paused"
    until(lambda: "default is paused" in visitor.page(), WITHIN)
    visitor.post("/accounts/default/resume")
    until(lambda: worker.lane()["state"] != "paused", 20)


def test_the_stream_of_changes_follows_workers_and_events(
    visitor: Visitor, new_worker: NewWorker, amqp_url: str, namespace: str
) -> None:
    with visitor.stream("/live") as lines:
        new_worker(HEARTBEAT="1s")
        assert any(line.startswith("data:") and "fleet" in line for line in lines)
        publish(amqp_url, namespace, [edit(5)])
        assert any(line.startswith("data:") and "events" in line for line in lines)


def test_hostile_messages_are_text_on_every_page(
    visitor: Visitor, new_worker: NewWorker, events: Subscriber, amqp_url: str, namespace: str
) -> None:
    new_worker(APP_IDS="acme-app")
    hostile = corpus()
    with connected(amqp_url) as channel:
        channel.confirm_delivery()
        for one in hostile:
            channel.basic_publish(namespace, "acme-app", one.body, one.properties)
    until(lambda: len(events.take()) >= len(hostile), 40)
    until(lambda: f"{len(hostile)} dead letters" in visitor.page("/dead/letters"), 20)

    pages = {"/dead", "/dead?by=app", "/dead?by=account", "/dead?by=hour", "/events", "/"}
    after = "/dead/letters"
    while after:
        html = visitor.html(after)
        pages |= set(re.findall(r'href="(/dead/letters/[^"/?]+|/dead/letters/[^"/?]+/mend)"', html))
        pages |= set(re.findall(r'href="(/jobs/[^"]+|/accounts/[^"]+)"', html))
        following = re.findall(r'href="(/dead/letters\?[^"]*after=[^"]*)"', html)
        after = unescape(following[0]) if following else ""
    assert len(pages) > 2 * len(hostile)
    for page in sorted(pages):
        html = visitor.html(unescape(page))
        assert 'class="banner bad" role="alert"' not in html, page
        assert html.count("<script") == 2, page
        assert not {"\u202e", "\x00", "\x1b"} & set(html), page


def test_what_is_checked_is_what_rabbitmq_holds(visitor: Visitor) -> None:
    page = visitor.page("/check")

    assert "objects are as they should be" in page
    assert "left over" not in page  # the console knows no account, so it cannot tell
