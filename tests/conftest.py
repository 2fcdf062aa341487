"""What tests share: a RabbitMQ, a namespace in it, free ports, and how hypothesis works.

A test that uses `broker`, or is marked `broker`, is skipped where RabbitMQ is absent, and
fails there when CI is set. TASKEDIT_TEST_RABBITMQ chooses its version: `3.10` is the one the
machine has installed, `4.0` and `4.3` those of newer Debians in folders (root only).
"""

from __future__ import annotations

import os
import secrets
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

import hypothesis
import pytest
import requests

from ops.rabbitmq import chroot, install, ports
from ops.rabbitmq.node import Node

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CI = bool(os.environ.get("CI"))
_VERSION = pytest.StashKey[str]()

hypothesis.settings.register_profile("dev", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if CI else "dev")


class NewNode(Protocol):
    """Makes a started RabbitMQ of the test's own, which it may kill and freeze."""

    def __call__(
        self, *, config: str = "", plugins: Sequence[str] = (), folder: Path | None = None
    ) -> Node:
        """The arguments are those of `Node`; `folder` holds what `config` points to, if given."""
        ...


def pytest_configure(config: pytest.Config) -> None:
    version = os.environ.get("TASKEDIT_TEST_RABBITMQ", "")
    if version and version not in chroot.VERSIONS:
        known = ", ".join(chroot.VERSIONS)
        raise pytest.UsageError(f"TASKEDIT_TEST_RABBITMQ is one of {known}, not {version!r}")
    config.stash[_VERSION] = version
    if not hasattr(config, "workerinput"):
        chroot.of_rabbitmq(version)  # here, once: it can take minutes the first time


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if {"broker", "new_node"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("broker")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("broker") is None:
        return
    wanted = item.config.stash[_VERSION]
    installed = install.found(chroot.of_rabbitmq(wanted) or Path("/"))
    if installed is None:
        (pytest.fail if CI else pytest.skip)("RabbitMQ is absent: make test installs it")
    elif not installed.version.startswith(wanted):
        pytest.fail(f"RabbitMQ {wanted} is wanted, {installed.version} is installed")


@pytest.fixture(scope="session")
def broker_root(pytestconfig: pytest.Config) -> Path | None:
    """The folder of the Debian whose RabbitMQ is tested, or None: `Node(root=broker_root)`."""
    return chroot.of_rabbitmq(pytestconfig.stash[_VERSION])


@pytest.fixture(scope="session")
def broker(broker_root: Path | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A RabbitMQ with its management API, for all tests of one pytest process.

    Tests keep apart by their `namespace`; one that kills, freezes or alarms the broker makes
    its own by `new_node`.
    """
    folder = tmp_path_factory.mktemp("rabbitmq")
    with Node(folder, plugins=["rabbitmq_management"], root=broker_root) as node:
        yield node


@pytest.fixture
def amqp_url(broker: Node) -> str:
    """Where the shared RabbitMQ is."""
    return broker.amqp_url


@pytest.fixture
def namespace(broker: Node) -> Iterator[str]:
    """A name that no other test has; what it names in the broker is deleted afterwards."""
    name = f"t-{secrets.token_hex(4)}"
    yield name
    sweep(broker, name)


@pytest.fixture
def new_node(
    broker_root: Path | None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NewNode]:
    """As many RabbitMQ nodes of the test's own as it asks for."""
    with ExitStack() as stack:

        def started(
            *, config: str = "", plugins: Sequence[str] = (), folder: Path | None = None
        ) -> Node:
            folder = folder or tmp_path_factory.mktemp("rabbitmq")
            node = Node(folder, config=config, plugins=plugins, root=broker_root)
            return stack.enter_context(node)

        yield started


@pytest.fixture
def port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on."""
    return ports.free_port()


def since(node: Node, *version: int) -> bool:
    """Whether it is that version of RabbitMQ, such as 4, 3, or a later one."""
    return tuple(int(part) for part in node.version.split(".")[: len(version)]) >= version


def sweep(node: Node, namespace: str) -> None:
    """Delete the queues and exchanges of a namespace, whatever a test left of them."""
    with requests.Session() as session:
        session.trust_env = False  # a proxy of the machine does not know our port
        for kind in ("queues", "exchanges"):
            found = session.get(f"{node.management_url}/api/{kind}/%2F", timeout=10)
            for name in (thing["name"] for thing in found.json()):
                if name.startswith(namespace):
                    where = f"{node.management_url}/api/{kind}/%2F/{quote(name, safe='')}"
                    session.delete(where, timeout=10)
