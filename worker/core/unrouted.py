"""Which lane an appId is bound to while accounts change, and why a message reached no lane.

An app that moves to another account keeps its way: until the lane that had it holds nothing of it
any more, new edits still go through that lane, which hands them on behind the older ones. Then the
binding moves: the new one is made before the old one is undone, so no edit is without a lane.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from schemas import Reason
from worker.core.verdict import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from schemas.names import Names
    from worker.account import Account
    from worker.core.headers import Headers
    from worker.core.message import Delivery


ANY = "#"
"""The routing key that binds the lane of a sole account which lists no appId."""


@dataclass(frozen=True, slots=True)
class Unbinding:
    """A key by which a lane must not be bound any more."""

    lane: str
    """The account's name."""
    key: str
    after: frozenset[str]
    """The accounts that have to be bound first: their lanes take over what this one lets go."""


@dataclass(frozen=True, slots=True)
class Ownership:
    """What the accounts of the settings are bound by, and which apps are on their way."""

    keys: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Account to the routing keys that are its own."""
    moving: Mapping[str, str] = field(default_factory=dict)
    """AppId to the account whose lane it comes from, and through which it still goes."""

    def owner(self, app_id: str | None) -> str | None:
        """The account that an appId belongs to; None when it is nobody's."""
        if app_id is None:
            return None
        return next((name for name, keys in self.keys.items() if app_id in keys), None)

    def app_ids(self, account: str | None) -> frozenset[str]:
        """The appIds of an account; empty when it lists none, and of nobody."""
        return self.keys.get(account or "", frozenset()) - {ANY}

    def bound(self, account: str) -> frozenset[str]:
        """What the account's lane is bound by at this moment."""
        leaving = {app for app, source in self.moving.items() if source == account}
        coming = self.keys.get(account, frozenset()) & self.moving.keys()
        return (self.keys.get(account, frozenset()) - coming) | leaving

    def arrived(self, app_id: str) -> Ownership:
        """The app goes to its own account's lane from now on."""
        left = {app: source for app, source in self.moving.items() if app != app_id}
        return Ownership(self.keys, left)

    def unbindings(self, former: Mapping[str, Iterable[str]]) -> list[Unbinding]:
        """What is to be undone of how lanes were bound before (`former`: account to keys).

        A lane of no account loses only what another lane has now: it may be served by a
        deployment that shares the namespace.
        """
        all_accounts = frozenset(self.keys)
        owners = {key: name for name in self.keys for key in self.bound(name)}
        found = []
        for account, keys in former.items():
            for key in sorted(set(keys) - self.bound(account)):
                owner = owners.get(key)
                if key == ANY and ANY not in owners:
                    found.append(Unbinding(account, key, all_accounts - {account}))
                elif owner is not None or account in self.keys:
                    after = frozenset() if owner is None else frozenset({owner})
                    found.append(Unbinding(account, key, after))
        return found


def keys_of(account: Account) -> frozenset[str]:
    """The routing keys that an account's lane is bound by."""
    return account.bounds.app_ids or frozenset({ANY})


def ownership(accounts: Iterable[Account], before: Ownership | None = None) -> Ownership:
    """What the accounts own; `before` is what they owned when they were other ones.

    An app moves when both its old and its new account are served: of one that was already on its
    way, the first source counts.
    """
    keys = {account.name: keys_of(account) for account in accounts}
    found = Ownership(keys)
    if before is None:
        return found
    moving = {}
    for name, own in keys.items():
        for app in own - {ANY}:
            source = before.moving.get(app) or before.owner(app)
            if source is not None and source != name and source in keys:
                moving[app] = source
    return Ownership(keys, moving)


def account_of(delivery: Delivery, names: Names) -> str | None:
    """The account whose lane the broker took this message from; None if it reached no lane."""
    return (_taken(delivery, names) or (None,))[0]


def exchange_of(delivery: Delivery, names: Names) -> str:
    """The exchange by which the message came to its lane, also if the broker took it from there."""
    taken = _taken(delivery, names)
    before = None if taken is None else taken[1].text("exchange")
    return delivery.exchange if before is None else before


def why_stray(delivery: Delivery, names: Names) -> Rejected:
    """The verdict on a stray, by the newest entry of RabbitMQ's own `x-death`."""
    taken = _taken(delivery, names)
    if taken is None:
        key = delivery.routing_key[:100]
        detail = f"no account of this worker has the appId of the routing key {key!r}"
        return Rejected(Reason.UNKNOWN_APP, detail)
    cause = taken[1].text("reason") or "unknown"
    if cause == "expired":
        detail = "its time to live ended while it waited in the lane"
        return Rejected(Reason.EXPIRED, detail)
    detail = f"the broker gave up on it ({cause}): it was returned to the lane too often"
    return Rejected(Reason.POISON, detail)


def _taken(delivery: Delivery, names: Names) -> tuple[str, Headers] | None:
    """Account and entry of `x-death`, if RabbitMQ itself took the message from a lane.

    It hands such a message to the strays' exchange; one that reached no lane keeps the exchange
    it was published to, and an x-death that came with it is the publisher's word only.
    """
    if delivery.exchange != names.strays:
        return None
    deaths = delivery.properties.headers.tables("x-death")
    for death in deaths[:1]:
        account = names.account_of(death.text("queue") or "")
        if account is not None:
            return account, death
    return None
