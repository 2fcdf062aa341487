"""Edits applied straight from files: in order, paced, and each accounted for."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest

from ops.simulator.control import Simulator
from tests.acceptance.console import Console
from tests.acceptance.kit import KEY, SECRET, edit, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator("--account", f"{KEY}:{SECRET}", "--rate", "100000/s") as simulated:
        yield simulated


@pytest.fixture
def console(simulator: Simulator, tmp_path: Path) -> Console:
    return Console(
        {
            "TASKEDIT_API_URL": simulator.url,
            "TASKEDIT_API_KEY": KEY,
            "TASKEDIT_API_SECRET": SECRET,
            "TASKEDIT_RATE": "1000/s",
        },
        tmp_path,
    )


def written(path: Path, edits: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(one) + "\n" for one in edits))
    return path.name


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_what_a_newer_edit_of_the_file_repeats_is_not_called_where_the_account_asks_for_it(
    console: Console, simulator: Simulator, tmp_path: Path
) -> None:
    edits = [edit(1 + n % 10, name=f"{n:03}") for n in range(60)]
    written(tmp_path / "edits.jsonl", edits)
    coalescing = Console({**console.environment, "TASKEDIT_COALESCE": "true"}, tmp_path)

    told = coalescing.run("apply", "edits.jsonl")

    outcomes = [json.loads(line)["data"]["outcome"] for line in told.stdout.splitlines()]
    called = {call.job: call.name for call in simulator.calls()}
    assert called == {job: f"{49 + job:03}" for job in range(1, 11)}
    assert len(simulator.calls()) < len(edits)
    assert outcomes.count("superseded") == len(edits) - len(simulator.calls())
    assert f"{outcomes.count('superseded')} superseded" in told.stderr


def test_every_edit_is_applied_in_order_or_among_the_failures_which_can_be_applied_again(
    console: Console, simulator: Simulator, tmp_path: Path
) -> None:
    simulator.answer("-33", name="taken*")
    edits = [edit(1 + n % 10, name=f"{n:03}") for n in range(60)]
    edits[7] |= {"name": "taken 7"}
    edits[8] |= {"redialTimes": 9}
    file = tmp_path / "edits.jsonl"
    written(file, edits)
    with file.open("a") as more:
        more.write("not json\n")
    told = console.run("apply", "edits.jsonl", code=1)
    events = [json.loads(line)["data"] for line in told.stdout.splitlines()]
    assert {event["correlationId"] for event in events} == {
        f"edits.jsonl:{n}" for n in range(1, 62)
    }
    assert "58 applied; 3 rejected: see failures.jsonl." in told.stderr
    by_job: dict[int | None, list[str | None]] = {}
    for call in simulator.calls():
        by_job.setdefault(call.job, []).append(call.name)
    assert all(
        found == sorted(found, key=lambda name: str(name).removeprefix("taken ").zfill(3))
        for found in by_job.values()
    ), "a job's edits were called out of order"
    failures = lines(tmp_path / "failures.jsonl")
    assert sorted((one["line"], one["reason"], one["apiStatus"]) for one in failures) == [
        (8, "api_rejected", "-33"),
        (9, "invalid", None),
        (61, "malformed", None),
    ]
    assert [one["edit"] for one in failures if one["line"] == 8] == [edits[7]]
    simulator.clear(record=True)
    refused = console.run("apply", "failures.jsonl", code=2)
    assert "failures.jsonl exists and is not empty" in refused.stderr
    console.run("validate", "failures.jsonl", code=1)
    console.run("apply", "failures.jsonl", "--failures", "left.jsonl", code=1)
    assert [call.name for call in simulator.calls()] == ["taken 7"]
    left = lines(tmp_path / "left.jsonl")
    assert {(one["reason"], one["edit"] == "not json") for one in left} == {
        ("invalid", False),
        ("malformed", True),
    }


def test_ctrl_c_finishes_what_is_in_flight_and_says_what_was_not_sent(
    console: Console, simulator: Simulator, tmp_path: Path
) -> None:
    simulator.latency("200ms")
    edits = [edit(1 + n, name=f"{n:03}") for n in range(300)]
    process = console.begun("apply", written(tmp_path / "edits.jsonl", edits), TASKEDIT_RATE="50/s")
    until(lambda: len(simulator.calls()) >= 20)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 1, err
    applied = {json.loads(line)["subject"] for line in out.splitlines()}
    assert applied == {str(call.job) for call in simulator.calls()}
    unsent = lines(tmp_path / "failures.jsonl")
    assert {one["reason"] for one in unsent} == {"unsent"}
    assert [one["edit"] for one in unsent] == [
        one for one in edits if str(one["jobId"]) not in applied
    ]
    assert f"{len(applied)} applied; {len(unsent)} left over: see failures.jsonl." in err
    simulator.clear(record=True)
    console.run("apply", "failures.jsonl", "--failures", "left.jsonl")
    assert len(simulator.calls()) == len(unsent)
    assert not (tmp_path / "left.jsonl").exists()


def test_a_second_ctrl_c_ends_at_once_and_names_what_may_have_been_applied(
    console: Console, simulator: Simulator, tmp_path: Path
) -> None:
    simulator.latency("30s")
    edits = [edit(1 + n) for n in range(20)]
    file = written(tmp_path / "edits.jsonl", edits)
    process = console.begun("apply", file, TASKEDIT_CONCURRENCY="2")
    until(lambda: len(simulator.calls()) == 2)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (1, "")
    reasons = [one["reason"] for one in lines(tmp_path / "failures.jsonl")]
    assert (reasons.count("unsure"), reasons.count("unsent")) == (2, 18)
    assert "20 left over, of which 2 may have been applied" in err


def test_a_suspended_account_is_waited_for_and_in_the_end_given_up(
    console: Console, simulator: Simulator, tmp_path: Path
) -> None:
    simulator.answer("-3", times=2)
    file = written(tmp_path / "edits.jsonl", [edit(1 + n) for n in range(20)])
    said = console.run("apply", file, TASKEDIT_RATE="20/s").stderr
    assert "Account default is suspended, and tried again" in said
    assert "Account default goes on." in said
    simulator.answer("-3")
    said = console.run("apply", file, "--give-up-after", "500ms", code=1).stderr
    assert "Account default is given up" in said
    assert len(lines(tmp_path / "failures.jsonl")) == 20


def test_accounts_are_chosen_by_app_id_and_one_that_is_suspended_delays_no_other(
    console: Console, simulator: Simulator, tmp_path: Path
) -> None:
    simulator.account("key-of-zeta", "secret-of-zeta", rate="100000/s")
    simulator.answer("-3", account=KEY)
    (tmp_path / "accounts.toml").write_text(
        f"""
        [accounts.acme]
        api_key = "{KEY}"
        api_secret = "{SECRET}"
        app_ids = ["acme-app"]
        [accounts.zeta]
        api_key = "key-of-zeta"
        api_secret = "secret-of-zeta"
        app_ids = ["zeta-app"]
        """
    )
    edits = [edit(1 + n, appId=("acme-app", "zeta-app")[n % 2]) for n in range(600)]
    file = written(tmp_path / "edits.jsonl", [*edits, edit(7, appId="nobodys"), {"jobId": 1}])
    told = console.run(
        "apply",
        file,
        "--give-up-after",
        "1s",
        code=1,
        TASKEDIT_ACCOUNTS_FILE=str(tmp_path / "accounts.toml"),
        TASKEDIT_API_KEY="",
        TASKEDIT_API_SECRET="",
    )
    events = [json.loads(line)["data"] for line in told.stdout.splitlines()]
    assert [event["account"] for event in events if event["outcome"] == "applied"] == ["zeta"] * 300
    reasons = [one["reason"] for one in lines(tmp_path / "failures.jsonl")]
    assert reasons[:2] == ["unknown_app", "invalid"]
    assert len(reasons) == 302
