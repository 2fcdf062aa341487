"""An edit sent again after a rejection never undoes a newer edit of its job."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from schemas.names import PLACE_HEADER, REDRIVES_HEADER
from tests.unit.builders import NAMES, NOW
from tests.unit.world import GOOD, World, calls_of
from worker.core.identity import place_in
from worker.core.message import Delivery
from worker.core.reply import Answered
from worker.deadletters.letter import read, to_publication

if TYPE_CHECKING:
    from collections.abc import Callable

    Send = Callable[[World, Delivery], None]


def dead_letter(world: World) -> Delivery:
    """The letter of an edit that the API has refused."""
    world.api.script = lambda _: Answered("-33", "no")
    world.publish(1, message_id="old")
    world.finish()
    world.api.script = lambda _: GOOD
    [letter] = world.letters()
    return Delivery(1, "", "", False, letter.properties, letter.body, NOW)


def redriven(world: World, dead: Delivery, *, whatever: bool = False) -> None:
    """`taskedit dead redrive`, with `--even-if-superseded` or without."""
    letter = read(dead, 1)
    sent = to_publication(letter, dead, NAMES, redrives=1, place=None if whatever else letter.stood)
    world.queue.publish(sent.publication.body, sent.publication.properties)


def moved_back(world: World, dead: Delivery) -> None:
    """A shovel."""
    world.queue.publish(dead.body, dead.properties)


@pytest.mark.parametrize("send", [redriven, moved_back])
def test_it_is_not_called_when_a_newer_edit_was_applied(
    send: Send,
) -> None:
    world = World()
    dead = dead_letter(world)
    world.publish(1, message_id="new")

    send(world, dead)
    world.finish()

    assert calls_of(world, 1) == ["old", "new"]
    assert [json.loads(each.body)["data"]["reason"] for each in world.events()] == [
        "api_rejected",
        None,
        "api_rejected",
    ]
    _, letter = world.letters()
    assert "superseded" in (letter.properties.headers.text("taskedit-detail") or "")
    assert letter.properties.headers.text(PLACE_HEADER) == str(read(dead, 1).stood)
    assert letter.properties.headers.text(REDRIVES_HEADER) == "1"


@pytest.mark.parametrize("send", [redriven, moved_back])
def test_it_is_called_when_none_was(send: Send) -> None:
    world = World()
    dead = dead_letter(world)
    world.publish(2, message_id="another job's")

    send(world, dead)
    world.finish()

    assert calls_of(world, 1) == ["old", "old"]


def test_told_so_it_is_called_all_the_same_and_is_the_newest_then() -> None:
    world = World()
    dead = dead_letter(world)
    world.publish(1, message_id="new")
    redriven(world, dead, whatever=True)
    world.finish()

    assert calls_of(world, 1) == ["old", "new", "old"]


def test_an_older_edit_that_was_sent_again_does_not_make_a_newer_letter_too_late() -> None:
    world = World()
    first = dead_letter(world)
    world.api.script = lambda _: Answered("-33", "no")
    world.publish(1, message_id="second")
    world.finish()
    world.api.script = lambda _: GOOD
    letter = world.letters()[1]
    second = Delivery(1, "", "", False, letter.properties, letter.body, NOW)

    redriven(world, first)
    redriven(world, second)
    world.finish()

    assert calls_of(world, 1) == ["old", "second", "old", "second"]


def test_another_process_knows_it_from_the_journal() -> None:
    world = World()
    dead = dead_letter(world)
    world.publish(1, message_id="new")
    world.finish()
    world.killed()

    redriven(world, dead)
    world.finish()

    assert calls_of(world, 1) == ["old", "new"]


def test_the_place_of_an_edit_is_in_its_letter_and_its_event() -> None:
    world = World()
    dead = dead_letter(world)
    [event] = world.events()

    stood = event.properties.headers.text(PLACE_HEADER)

    assert place_in(stood) is not None
    assert dead.properties.headers.text(PLACE_HEADER) == stood
