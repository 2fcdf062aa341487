"""A letter's body in the operator's editor, until it is good."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from schemas import Malformed, document
from worker.cli.dead.checked import problems
from worker.cli.exits import FAILED
from worker.deadletters.render import plain

if TYPE_CHECKING:
    from schemas import Bounds
    from worker.core.message import Delivery
    from worker.deadletters.letter import Letter


def edited(letter: Letter, delivery: Delivery, bounds: Bounds) -> bytes:
    """The body as the operator leaves it, once the worker would take it.

    The command ends if it is left as it was, or bad and there is nobody to ask.
    """
    text = _laid_out(delivery.body)
    while True:
        found = click.edit(text, extension=".json", require_save=False)
        if found is None or found.strip() == _laid_out(delivery.body).strip():
            click.echo(f"{letter.name} was left as it is: nothing is sent.", err=True)
            raise click.exceptions.Exit(FAILED)
        text, body = found, _packed(found)
        wrong = problems(letter, delivery, bounds, body)
        if wrong is None:
            return body
        detail, fields = wrong
        for line in [f"{field.field}: {field.problem}" for field in fields] or [detail]:
            click.echo(plain(line), err=True)
        if not sys.stdin.isatty() or not click.confirm("Edit it again?", default=True, err=True):
            click.echo("Nothing is sent.", err=True)
            raise click.exceptions.Exit(FAILED)


def _laid_out(body: bytes) -> str:
    """JSON with a field a line; what is no JSON as it stands."""
    found = document.read(body)
    if isinstance(found, Malformed):
        return body.decode(errors="replace")
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def _packed(text: str) -> bytes:
    """Without the layout; what cannot be read goes as it is, to be told what is wrong with it."""
    found = document.read(text.strip().encode(errors="replace"))
    if isinstance(found, Malformed):
        return text.strip().encode(errors="replace")
    return json.dumps(found, separators=(",", ":"), ensure_ascii=False).encode()
