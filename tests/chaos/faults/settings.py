"""What operators do to the accounts: the file of each machine, then SIGHUP replica by replica."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pika.exceptions import ChannelClosedByBroker

from tests.chaos.broker import TROUBLE, connection
from tests.chaos.faults.operators import taskedit
from tests.chaos.names import FORMER, KEYS, MAIN, NAMESPACE, RENAMED, ROAMING, SIDE
from worker.cli.exits import DONE

if TYPE_CHECKING:
    from tests.chaos.stage import Stage

_MENDED_WITHIN, _MOVED_WITHIN = 120.0, 75.0
_DRAINED_WITHIN = 10.0
_LOOK = 0.2
_NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class _OfAccounts:
    def cut(self, _: Stage) -> None:
        """Nothing is kept apart."""


@dataclass(frozen=True, slots=True)
class ChangeLimits(_OfAccounts):
    """Other limits of the main account, as ``100/s,4000/m``."""

    rates: str

    def strike(self, stage: Stage) -> None:
        """Have each replica adopt them in turn; until the last has, the former may hold."""
        stage.allow(self.rates)
        stage.change(replace(stage.accounts, rates=self.rates))
        stage.allow_only()

    def mend(self, stage: Stage) -> None:
        """They stay."""


@dataclass(frozen=True, slots=True)
class MoveApp(_OfAccounts):
    """An app goes to another account, under load."""

    def strike(self, stage: Stage) -> None:
        """Have each replica adopt it, the one that serves the account first."""
        stage.ledger.publish_once(ROAMING)
        to = SIDE if stage.accounts.roaming == MAIN else MAIN
        stage.own(ROAMING, KEYS[to])
        stage.change(replace(stage.accounts, roaming=to), first=stage.accounts.roaming)

    def mend(self, stage: Stage) -> None:
        """Wait until every replica sends it by its new lane, as the runbook has it."""
        stage.await_all("app_moved", _MOVED_WITHIN)
        stage.own_only(ROAMING)
        stage.ledger.publish_again(ROAMING)


@dataclass(frozen=True, slots=True)
class RenameAccount(_OfAccounts):
    """An account has another name, and what is left over in its old lane is pruned.

    Its publishers stop meanwhile. `drained`: they also wait until its lane is empty.
    """

    drained: bool

    def strike(self, stage: Stage) -> None:
        """Have each replica adopt it."""
        stage.ledger.silence(RENAMED)
        deadline = time.monotonic() + _DRAINED_WITHIN * self.drained
        while stage.unsettled(RENAMED) and time.monotonic() < deadline:
            time.sleep(_LOOK)
        former = stage.accounts.renamed
        to = FORMER[former == FORMER[0]]
        stage.change(replace(stage.accounts, renamed=to), first=former)

    def mend(self, stage: Stage) -> None:
        """Prune until the old lane is gone; then its publishers go on."""
        renamed = stage.accounts.renamed
        former = f"{NAMESPACE}.lane.{FORMER[renamed == FORMER[0]]}"
        settings = {
            "TASKEDIT_ACCOUNTS_FILE": str(stage.replicas[0].accounts_file),
            "TASKEDIT_MANAGEMENT_URL": stage.broker.nodes[0].management_url,
            "TASKEDIT_STATE_DIR": str(stage.folder / "operator"),
        }
        deadline = time.monotonic() + _MENDED_WITHIN
        while not (
            taskedit(stage, "topology", "prune", "--yes", **settings) == DONE
            and _is_there(stage, f"{NAMESPACE}.lane.{renamed}")
            and _is_there(stage, former) is False
        ):
            if time.monotonic() > deadline:
                raise AssertionError(f"{former} cannot be pruned")
            time.sleep(_LOOK)
        stage.ledger.speak(RENAMED)


def _is_there(stage: Stage, queue: str) -> bool | None:
    """Whether there is such a queue; None if that cannot be told now."""
    try:
        with connection(stage.broker) as joined:
            channel = joined.channel()
            try:
                channel.queue_declare(queue, passive=True)
            except ChannelClosedByBroker as closed:
                return False if closed.reply_code == _NOT_FOUND else None
            return True
    except TROUBLE:
        return None
