"""The runbook has an answer to everything that can ask for one, and its commands exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
import yaml

from schemas import Reason
from worker.cli import root
from worker.console.wording import REASONS, remedy
from worker.core.judge import FAULTS, MEANINGS, SUCCESS, THROTTLED

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNBOOK = Path("ops/runbook.md")
ALERTS = Path("ops/prometheus/alerts.yml")
MOST_LETTERS = {"ID": "m-1", "FILE": str(RUNBOOK), "letters.jsonl": str(RUNBOOK)}
"""What stands for something in the runbook's commands, as something that exists."""


def text() -> str:
    return RUNBOOK.read_text()


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def anchors() -> set[str]:
    """Of its headings, as Markdown on the web makes them."""
    titles = re.findall(r"^#{1,6} (.+)$", text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def commands() -> list[str]:
    """Every `taskedit` command: in blocks of code, and between backticks."""
    in_blocks = re.findall(r"^ *(taskedit [^#\n]+)", text(), re.MULTILINE)
    in_lines = re.findall(r"`(taskedit [^`]+)`", text())
    return sorted({command.strip() for command in in_blocks + in_lines})


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_an_alert_has_a_cause_a_consequence_and_a_section(alert: dict[str, Any]) -> None:
    said = alert["annotations"]
    assert set(said) - {"console"} == {"summary", "cause", "consequence", "runbook_url"}
    assert ("console" in said) == ("$labels.account" in said["summary"])
    runbook = (
        r"\{\{ with \$externalLabels\.taskedit_runbook }}\{\{ \. }}\{\{ else }}(.+)\{\{ end }}(#.+)"
    )
    found = re.fullmatch(runbook, said["runbook_url"])
    assert found is not None
    assert found.groups() == (str(RUNBOOK), f"#{alert['alert'].lower()}")
    assert alert["alert"].lower() in anchors()
    assert alert["labels"]["severity"] in {"page", "ticket"}


def test_no_section_is_of_an_alert_that_is_none() -> None:
    sections = {anchor for anchor in anchors() if anchor.startswith("taskedit")}
    assert sections == {alert["alert"].lower() for alert in alerts()}


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_has_its_section(reason: Reason) -> None:
    assert f"\n### {reason.value}\n" in text()


@pytest.mark.parametrize("reason", Reason)
def test_a_publisher_is_told_of_a_reason_whether_to_send_again_under_which_id_and_who_acts(
    reason: Reason,
) -> None:
    rows = Path("ops/docs/publishers.md").read_text().splitlines()
    [row] = [row for row in rows if row.startswith(f"| `{reason.value}` |")]
    _, _, again, _, who, _ = (cell.strip() for cell in row.split("|"))
    assert again
    assert who


@pytest.mark.parametrize("status", sorted({SUCCESS, *MEANINGS, *FAULTS, *THROTTLED}))
def test_a_status_has_its_row_with_what_it_means_what_happens_and_what_to_do(status: str) -> None:
    rows = [row for row in text().splitlines() if re.match(rf"\|[^|]*`{status}`[^|]*\|", row)]
    full = [row for row in rows if row.count("|") == 5]
    assert len(full) == 1
    assert all(cell.strip() for cell in full[0].split("|")[1:-1])
    if status in MEANINGS:
        assert MEANINGS[status] in full[0]


@pytest.mark.parametrize("status", [*sorted({*FAULTS, "-4", "http:503"} - {SUCCESS}), "http:3xx"])
def test_what_the_console_says_to_do_about_a_stopped_account_is_what_its_row_says(
    status: str,
) -> None:
    [row] = [
        row
        for row in plain().splitlines()
        if re.match(rf"\|[^|]*(?<!\S){status}(?!\w)[^|]*\|", row)
    ]
    told = remedy(status).removesuffix(".")
    assert row.split("|")[4].strip().startswith(told)


@pytest.mark.parametrize("reason", Reason)
def test_what_the_console_says_to_do_about_a_letter_is_in_the_section_of_its_reason(
    reason: Reason,
) -> None:
    section = plain().partition(f"\n### {reason.value}\n")[2].partition("\n#")[0]
    _, told = REASONS[reason.value]
    assert told.removesuffix(".").lower() in section.lower()


def plain() -> str:
    """The runbook as it is read: links and code as their words."""
    return re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", text()).replace("`", "")


def test_every_link_leads_somewhere() -> None:
    assert set(re.findall(r"\]\(#([^)]+)\)", text())) <= anchors()
    others = ["ops/systemd/README.md", "SECURITY.md", "ops/docker/demo/README.md"]
    for link in re.findall(r"runbook\.md#([\w-]+)", "".join(Path(o).read_text() for o in others)):
        assert link in anchors()


@pytest.mark.parametrize("command", commands())
def test_a_command_exists_with_these_options(command: str) -> None:
    _, *arguments = (MOST_LETTERS.get(word, word) for word in shlex.split(command))
    with click.Context(root, info_name="taskedit") as context:
        for group, rest in groups(context, root, arguments):
            group.make_context(str(group.name), rest, parent=context)


def groups(
    context: click.Context, command: click.Command, arguments: list[str]
) -> Iterator[tuple[click.Command, list[str]]]:
    """The command that the arguments end at, and what is left of them."""
    while isinstance(command, click.Group):
        _, found, arguments = command.resolve_command(context, arguments)
        assert found is not None
        command = found
    yield command, arguments
