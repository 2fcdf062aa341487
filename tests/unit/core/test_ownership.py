"""Which lane is bound by what, while accounts change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas import Bounds
from tests.unit.builders import account as an_account
from worker.core.unrouted import ANY, Ownership, Unbinding, ownership

if TYPE_CHECKING:
    from worker.account import Account

NEW = {"a": frozenset({"x"}), "b": frozenset({"k", "y"})}


def account(name: str, *apps: str) -> Account:
    return an_account(name, bounds=Bounds(app_ids=frozenset(apps)))


def test_an_app_that_moves_goes_through_its_old_lane_until_it_has_arrived() -> None:
    moving = Ownership(NEW, {"k": "a"})

    assert moving.owner("k") == "b"
    assert moving.bound("a") == {"k", "x"}
    assert moving.bound("b") == {"y"}
    arrived = moving.arrived("k")
    assert arrived.bound("a") == {"x"}
    assert arrived.bound("b") == {"k", "y"}


def test_what_is_let_go_is_unbound_after_the_new_owner_is_bound() -> None:
    former = {"a": {"k", "x"}, "b": {"y"}}

    assert Ownership(NEW).unbindings(former) == [Unbinding("a", "k", frozenset({"b"}))]
    assert Ownership(NEW, {"k": "a"}).unbindings(former) == []


def test_a_lane_of_no_account_loses_only_what_another_lane_has() -> None:
    former = {"renamed": {"x", "elsewhere"}}

    assert Ownership(NEW).unbindings(former) == [Unbinding("renamed", "x", frozenset({"a"}))]


def test_a_lane_that_took_everything_is_unbound_once_all_the_others_are_bound() -> None:
    found = Ownership(NEW).unbindings({"default": {ANY}})

    assert found == [Unbinding("default", ANY, frozenset({"a", "b"}))]
    assert Ownership({"default": frozenset({ANY})}).unbindings({"default": {ANY}}) == []


def test_an_app_moves_only_between_accounts_that_are_both_served() -> None:
    first, second = account("a", "k"), account("b", "y")
    before = ownership([first, second])

    moved = ownership([account("a", "x"), account("b", "k")], before)
    assert moved.moving == {"k": "a"}
    assert ownership([account("b", "k")], before).moving == {}
    back = ownership([first, second], moved)
    assert back.moving == {}
    assert back.bound("a") == {"k"}


def test_what_is_undone_grows_with_what_changed_and_not_with_the_accounts_squared() -> None:
    accounts = [account(f"a{number}", f"app-{number}") for number in range(500)]
    owned = ownership(accounts)
    former = {name: set(keys) for name, keys in owned.keys.items()}

    assert sum(len(owned.bound(each.name)) for each in accounts) == 500
    assert owned.unbindings(former) == []
    former["a7"].add("app-8")
    assert owned.unbindings(former) == [Unbinding("a7", "app-8", frozenset({"a8"}))]
