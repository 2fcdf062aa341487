"""No secret anywhere, the least permissions, verified TLS to the broker, and a patient ops HTTP."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING
from urllib.parse import quote

import psutil
import pytest
import requests
import trustme
from pika.exceptions import ChannelClosedByBroker

from ops.rabbitmq import chroot
from ops.rabbitmq.ports import free_port
from tests.acceptance.kit import connected, edit, publish, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pika.adapters.blocking_connection import BlockingChannel

    from ops.rabbitmq.node import Node
    from ops.simulator.control import Simulator
    from tests.acceptance.conftest import NewWorker
    from tests.acceptance.kit import Subscriber, WorkerProcess
    from tests.conftest import NewNode

CANARIES = {
    "API_KEY": "canary-of-the-key",
    "API_SECRET": "canary-of-the-secret",
    "password": "canary-of-the-password",
}


@pytest.fixture
def user(broker: Node, namespace: str) -> Iterator[str]:
    """A user of RabbitMQ whose password is a canary, with no permissions yet."""
    where = f"{broker.management_url}/api/users/{namespace}"
    _sent("PUT", where, {"password": CANARIES["password"], "tags": ""})
    yield namespace
    _sent("DELETE", where)


def _sent(method: str, where: str, fields: object = None) -> None:
    with requests.Session() as session:
        session.trust_env = False
        session.request(method, where, json=fields, timeout=10).raise_for_status()


def url_of(broker: Node, user: str) -> str:
    return f"amqp://{user}:{CANARIES['password']}@127.0.0.1:{broker.port}/%2F"


def test_no_secret_is_in_anything_that_leaves_the_worker(
    broker: Node,
    amqp_url: str,
    namespace: str,
    user: str,
    simulator: Simulator,
    new_worker: NewWorker,
    events: Subscriber,
) -> None:
    simulator.account(CANARIES["API_KEY"], CANARIES["API_SECRET"])
    settings = {name: CANARIES[name] for name in ("API_KEY", "API_SECRET")}
    settings |= {"AMQP_URL": url_of(broker, user), "LOG_LEVEL": "debug"}
    worker = new_worker(ready=False, **settings)
    until(lambda: worker.lines("cannot_connect"), what="the broker has let it in")
    everything = "(.*)"
    permissions = {"configure": everything, "write": everything, "read": everything}
    _sent("PUT", f"{broker.management_url}/api/permissions/%2F/{user}", permissions)
    worker.ready()
    simulator.answer("-1", times=2)
    simulator.fault("html", times=2)
    simulator.fault("drop_before_reply", times=2)
    edits = [edit(1 + n) for n in range(30)]
    edits += [edit(1, robotCount=0), edit(2, name="\ud83d"), edit(3, mode=CANARIES["API_KEY"][:6])]
    publish(amqp_url, namespace, edits)
    until(lambda: len(events.settled()) == len(edits), 30)
    until(lambda: len(worker.lines("edit")) >= len(edits), what="the log does not tell enough")
    assert worker.process is not None
    shown = {
        "log": worker.log.read_text(),
        "events": json.dumps(events.take()),
        "dead letters": letters_whole(amqp_url, namespace),
        "command line": " ".join(psutil.Process(worker.process.pid).cmdline()),
        "state": "".join(path.read_text() for path in (worker.folder / "state").iterdir()),
        **{path: worker.asked(path)[1] for path in ("/livez", "/readyz", "/metrics", "/lanes")},
    }
    for place, text in shown.items():
        for name, canary in CANARIES.items():
            assert canary not in text, f"{name} is in the {place}"


def letters_whole(url: str, namespace: str) -> str:
    """All dead letters, with all that they have, as text."""
    found: list[str] = []
    with connected(url) as channel:
        while True:
            method, properties, body = channel.basic_get(f"{namespace}.dead", auto_ack=True)
            if method is None:
                return " ".join(found)
            found.append(f"{properties} {body!r}")


def test_a_bug_in_a_call_and_bad_settings_show_no_secret(
    namespace: str, amqp_url: str, new_worker: NewWorker, events: Subscriber
) -> None:
    settings = {name: CANARIES[name] for name in ("API_KEY", "API_SECRET")}
    worker = new_worker(ready=False, **settings)
    worker.kill()
    worker.arguments = ("-m", "tests.acceptance.hooked")
    worker.start()
    worker.ready()
    publish(amqp_url, namespace, [edit(1, name="buggy")])
    until(lambda: events.settled() == {"m-0": "rejected"})
    assert worker.lines("call_failed"), "there was no bug to tell of"
    bad = {"API_SECRET_FILE": "/nowhere", "HTTP_PROXY": f"http://u:{CANARIES['password']}@"}
    misled = new_worker(ready=False, **(settings | bad))
    assert misled.process is not None
    assert misled.process.wait(10) == 78
    said = worker.log.read_text() + misled.log.read_text() + json.dumps(events.take())
    assert not [name for name, canary in CANARIES.items() if canary in said]


def test_the_permissions_that_are_printed_suffice_and_allow_nothing_else(
    broker: Node,
    amqp_url: str,
    namespace: str,
    user: str,
    new_worker: NewWorker,
    events: Subscriber,
) -> None:
    worker = new_worker(DECLARE="false", AMQP_URL=url_of(broker, user), ready=False)
    until(lambda: worker.lines("cannot_connect"))
    printed = subprocess.run(
        (sys.executable, "-m", "worker", "topology", "export", "--user", user),
        env={"PATH": os.environ["PATH"], **worker.environment},
        capture_output=True,
        check=True,
    )
    _sent("POST", f"{broker.management_url}/api/definitions", json.loads(printed.stdout))
    worker.ready()
    with connected(amqp_url) as channel:
        queue = channel.queue_declare("", exclusive=True).method.queue
        publish(amqp_url, namespace, [edit(1), edit(2, robotCount=0)], reply_to=queue)
        until(lambda: events.settled() == {"m-0": "applied", "m-1": "rejected"})
        until(lambda: channel.basic_get(queue, auto_ack=True)[0], what="no reply has come")
    with connected(amqp_url) as channel:
        assert until(lambda: channel.basic_get(f"{namespace}.dead", auto_ack=True)[0])
    assert "403" not in worker.log.read_text().partition('"subscribed"')[2]
    forbidden: tuple[Callable[[BlockingChannel], object], ...] = (
        lambda channel: channel.queue_declare(f"{namespace}.mine"),
        lambda channel: channel.exchange_declare(f"{namespace}.mine"),
        lambda channel: channel.queue_delete(f"{namespace}.lane.default"),
        lambda channel: channel.basic_get(f"{namespace}.dead"),
    )
    for attempt in forbidden:
        with (
            connected(url_of(broker, user)) as channel,
            pytest.raises(ChannelClosedByBroker, match="403"),
        ):
            attempt(channel)


class Authority:
    """Certificates in files, for a broker and its clients."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._root = trustme.CA()
        self._root.cert_pem.write_to_path(str(folder / "ca.pem"))

    def certificate(self, *names: str) -> tuple[str, str]:
        """The files of a certificate for these names, and of its key."""
        files = str(self.folder / f"{names[0]}.pem"), str(self.folder / f"{names[0]}.key")
        issued = self._root.issue_cert(*names)
        issued.cert_chain_pems[0].write_to_path(files[0])
        issued.private_key_pem.write_to_path(files[1])
        return files

    @property
    def file(self) -> str:
        """The authority's own certificate."""
        return str(self.folder / "ca.pem")


def tls(authority: Authority, port: int, name: str, *, client: bool) -> str:
    """rabbitmq.conf of a node that has TLS on `port`, for a server of that name."""
    certificate, key = authority.certificate(name)
    demanded = "true" if client else "false"
    lines = {
        "listeners.ssl.1": f"127.0.0.1:{port}",
        "ssl_options.cacertfile": authority.file,
        "ssl_options.certfile": certificate,
        "ssl_options.keyfile": key,
        "ssl_options.verify": "verify_peer",
        "ssl_options.fail_if_no_peer_cert": demanded,
    }
    return "\n".join(f"{key} = {value}" for key, value in lines.items())


@pytest.mark.slow
def test_amqps_is_verified_and_takes_a_client_certificate(
    new_node: NewNode, broker_root: Path | None, new_worker: NewWorker, tmp_path: Path
) -> None:
    ours, anothers = Authority(tmp_path / "ours"), Authority(tmp_path / "anothers")
    port = free_port()
    config = tls(ours, port, "localhost", client=True)
    if broker_root is not None:  # the node sees nothing but its own folder, by another name
        config = config.replace(str(tmp_path), str(chroot.INNER))
    new_node(config=config, folder=tmp_path)
    certificate, key = ours.certificate("worker")
    address = f"amqps://guest:guest@localhost:{port}/%2F"
    proper = f"{address}?cacertfile={quote(ours.file)}&certfile={quote(certificate)}"
    new_worker(AMQP_URL=f"{proper}&keyfile={quote(key)}")
    untrusted = f"{address}?cacertfile={quote(anothers.file)}&certfile={quote(certificate)}"
    for refused in (
        f"{address}?cacertfile={quote(ours.file)}",
        f"{untrusted}&keyfile={quote(key)}",
        f"{proper}&keyfile={quote(key)}&server_name_indication=another.example",
    ):
        shut_out(new_worker(AMQP_URL=refused, ready=False))


def shut_out(worker: WorkerProcess) -> None:
    """Fail if it connects."""
    until(lambda: worker.lines("cannot_connect"), what="it was let in")
    assert not worker.lines("connected")


def test_the_ops_http_survives_slow_clients_and_garbage(new_worker: NewWorker) -> None:
    worker = new_worker()
    with ExitStack() as stack:
        for number in range(300):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", worker.port)))
            client.sendall((b"GET /lanes HT", b"\x16\x03\x01\0\xff" * 9, b"G" * 9000)[number % 3])
        for path in ("/livez", "/readyz", "/lanes", "/metrics"):
            assert worker.asked(path)[0] == 200
    assert worker.asked("/nothing")[0] == 404
    assert worker.stop() == 0
