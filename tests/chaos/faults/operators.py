"""What operators do: move letters back, pause an account, delete what the worker needs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from tests.chaos.broker import TROUBLE, connection
from tests.chaos.evidence import Pause, Return
from tests.chaos.names import DEAD, EVENTS, FLEET, FORMER, JOURNAL, MAIN, NAMESPACE, SIDE
from worker.cli.exits import AGAIN, DONE, FAILED

if TYPE_CHECKING:
    from pika.adapters.blocking_connection import BlockingChannel

    from tests.chaos.stage import Stage

_LETTERS_AT_MOST = 40
_ENDS_WITHIN, _MENDED_WITHIN = 60.0, 90.0
_LOOK = 0.2


@dataclass(frozen=True, slots=True)
class _OfNobody:
    def cut(self, _: Stage) -> None:
        """Nothing is kept apart."""


@dataclass(frozen=True, slots=True)
class ReturnLetters(_OfNobody):
    """Dead letters are moved to their lanes as they are, as the management page does it."""

    def strike(self, stage: Stage) -> None:
        """Move what is there, one by one; in trouble, leave the rest."""
        with suppress(*TROUBLE), connection(stage.broker) as joined:
            channel = joined.channel()
            channel.confirm_delivery()
            for _ in range(_LETTERS_AT_MOST):
                method, properties, body = channel.basic_get(DEAD)
                if method is None or properties is None or body is None:
                    return
                headers = properties.headers or {}
                redrives = str(headers.get("taskedit-redrives"))
                lane = _lane(stage, str(headers.get("taskedit-account")))
                message_id, begun = properties.message_id or "", time.time()
                confirmed = False
                try:
                    channel.basic_publish("", lane, body, properties, mandatory=True)
                    confirmed = True
                finally:
                    stage.returns.append(Return(message_id, redrives, begun, confirmed))
                channel.basic_ack(method.delivery_tag or 0)

    def mend(self, stage: Stage) -> None:
        """Nothing is left to mend."""


def _lane(stage: Stage, account: str) -> str:
    """The lane of the account that a letter is of, or of the one that is called so by now."""
    known = {SIDE: SIDE, **dict.fromkeys(FORMER, stage.accounts.renamed)}
    return f"{NAMESPACE}.lane.{known.get(account, MAIN)}"


@dataclass(frozen=True, slots=True)
class PauseAccount(_OfNobody):
    """`taskedit pause`, and `taskedit resume` afterwards."""

    def strike(self, stage: Stage) -> None:
        """Pause; only when that has ended well, no call may follow."""
        if taskedit(stage, "pause", MAIN, "--why", "chaos") == DONE:
            stage.pauses.append(Pause(time.time(), float("inf")))

    def mend(self, stage: Stage) -> None:
        """Resume, again and again until RabbitMQ has it."""
        if stage.pauses and stage.pauses[-1].until == float("inf"):
            stage.pauses[-1] = Pause(stage.pauses[-1].since, time.time())
        deadline = time.monotonic() + _MENDED_WITHIN
        while taskedit(stage, "resume", MAIN) not in {DONE, AGAIN}:
            if time.monotonic() > deadline:
                raise AssertionError("the account cannot be resumed")
            time.sleep(_LOOK)


def taskedit(stage: Stage, *arguments: str, **settings: str) -> int:
    """The exit code of a command beside the workers."""
    environment = {
        "PATH": os.environ["PATH"],
        "TASKEDIT_AMQP_URL": ",".join(node.amqp_url for node in stage.broker.nodes),
        "TASKEDIT_NAMESPACE": NAMESPACE,
    } | settings
    with (stage.folder / "operators.log").open("ab") as log:
        try:
            ended = subprocess.run(
                (sys.executable, "-m", "worker", *arguments),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                timeout=_ENDS_WITHIN,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return FAILED
    return ended.returncode


@dataclass(frozen=True, slots=True)
class _Delete(_OfNobody):
    name: ClassVar[str]

    def exists(self, channel: BlockingChannel) -> None:
        """Declare it passively."""
        channel.exchange_declare(self.name, passive=True)

    def mend(self, stage: Stage) -> None:
        """Wait until a worker has declared it again."""
        deadline = time.monotonic() + _MENDED_WITHIN
        while True:
            with suppress(*TROUBLE), connection(stage.broker) as joined:
                self.exists(joined.channel())
                return
            if time.monotonic() > deadline:
                raise AssertionError(f"no worker has declared {self.name} again")
            time.sleep(_LOOK)


@dataclass(frozen=True, slots=True)
class DeleteJournal(_Delete):
    """The journal is deleted: what had ended is known from the witness alone."""

    name: ClassVar[str] = JOURNAL

    def exists(self, channel: BlockingChannel) -> None:
        """Declare it passively."""
        channel.queue_declare(self.name, passive=True)

    def strike(self, stage: Stage) -> None:
        """Delete it."""
        with suppress(*TROUBLE):
            stage.witness.catch_up()
            with connection(stage.broker) as joined:
                joined.channel().queue_delete(self.name)

    def mend(self, stage: Stage) -> None:
        """Wait for the next; until then nothing that ended was kept."""
        super(DeleteJournal, self).mend(stage)
        stage.forgotten.append(time.time())


@dataclass(frozen=True, slots=True)
class DeleteFleet(_Delete):
    """The exchange of the heartbeats is deleted."""

    name: ClassVar[str] = FLEET

    def strike(self, stage: Stage) -> None:
        """Delete it."""
        with suppress(*TROUBLE), connection(stage.broker) as joined:
            joined.channel().exchange_delete(self.name)


@dataclass(frozen=True, slots=True)
class DeleteEvents(_Delete):
    """The exchange of the events is deleted, and every subscriber's binding with it."""

    name: ClassVar[str] = EVENTS

    def strike(self, stage: Stage) -> None:
        """Delete it."""
        with suppress(*TROUBLE), connection(stage.broker) as joined:
            joined.channel().exchange_delete(self.name)

    def mend(self, stage: Stage) -> None:
        """Wait until it is there; bind the witness, and tell it what it has missed."""
        super(DeleteEvents, self).mend(stage)
        deadline = time.monotonic() + _MENDED_WITHIN
        while True:
            try:
                stage.witness.bind()
                stage.witness.catch_up()
            except TROUBLE:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_LOOK)
            else:
                return
