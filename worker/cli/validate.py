"""`taskedit validate`: check edits before anybody publishes them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from schemas import FieldProblem, Invalid, Malformed, TaskEdit
from worker.cli.drafts import checked, drafts
from worker.cli.exits import DONE, FAILED
from worker.cli.options import FILES, bounds_options, content

if TYPE_CHECKING:
    from schemas import Bounds
    from worker.cli.drafts import Checked, Draft


@click.command(name="validate")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=FILES)
@bounds_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for each edit.")
@click.pass_context
def command(ctx: click.Context, files: tuple[str, ...], bounds: Bounds, *, as_json: bool) -> None:
    """Check edits in files, without sending them. No broker and no settings are needed.

    A FILE holds one edit, a JSON list of edits, or JSON Lines; - is standard input. Edits are
    checked by the provider's default bounds; options name those of an account. Ends with 1 if
    any edit is bad.
    """
    good = bad = 0
    for file in files:
        for draft in drafts(file, content(file)):
            found = checked(draft, bounds)
            good, bad = (good + 1, bad) if isinstance(found, TaskEdit) else (good, bad + 1)
            for line in (in_json(draft, found),) if as_json else in_words(draft, found):
                click.echo(line)
    click.echo(f"{good} good, {bad} bad.", err=True)
    ctx.exit(FAILED if bad else DONE)


def in_words(draft: Draft, found: Checked) -> list[str]:
    """What is wrong with a draft, a line each; none for a good one."""
    where = f"{draft.file}:{draft.line}"
    match found:
        case TaskEdit():
            return []
        case Malformed(detail):
            return [f"{where}: {detail}"]
        case Invalid(problems):
            return [f"{where}, {each.field}: {each.problem}" for each in problems]


def in_json(draft: Draft, found: Checked) -> str:
    """The verdict on a draft as one line of JSON, in the form of the contract.

    What is wrong with a malformed one is no field's fault; it stands under the field ``""``.
    """
    problems: tuple[FieldProblem, ...] = ()
    reason = None
    if isinstance(found, Malformed):
        reason, problems = "malformed", (FieldProblem("", found.detail),)
    elif isinstance(found, Invalid):
        reason, problems = "invalid", found.problems
    verdict = {
        "file": draft.file,
        "line": draft.line,
        "valid": reason is None,
        "reason": reason,
        "fields": [{"field": each.field, "problem": each.problem} for each in problems],
    }
    return json.dumps(verdict, ensure_ascii=False)
