"""Every command of the runbook is run, in the order in which it is written.

Those of systemd, Docker, Kubernetes and pip are those of a machine: `make verify-deploy` has them.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ops.rabbitmq.node import NodeError
from schemas import Names
from tests.acceptance.kit import KEY, SECRET, edit, letters, publish, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops.rabbitmq.node import Node
    from ops.simulator.control import Simulator
    from tests.acceptance.conftest import NewWorker
    from tests.acceptance.kit import WorkerProcess
    from tests.conftest import NewNode

RUNBOOK = Path(__file__).parents[2] / "ops" / "runbook.md"
OURS = ("taskedit", "curl", "rabbitmqctl", "rabbitmq-diagnostics")
STAYS = ("taskedit watch --since 15m", "taskedit console")
"""These end with Ctrl-C."""
ASKED = {"add_user": "of-a-test\n", "--hash-password": "long-enough-to-pass\n" * 2}
"""What is typed where a command asks for a password."""
CONFIRMED = ("topology prune", "topology delete", "dead discard")
"""A person answers yes."""
ELSEWHERE = ("curl -sI https:", "rabbitmqctl change_password")
"""The provider's, and one for a user that has to be there before."""

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.timeout(1800)]


def commands() -> Iterator[str]:
    """In blocks of code, and between backticks; without what is said of them."""
    block = r"^ *```sh\n(.*?)^ *```"
    inline = r"`((?:EDITOR=\S+ )?(?:" + "|".join(OURS) + r") [^`]+)`"
    for found in re.finditer(f"{block}|{inline}", RUNBOOK.read_text(), re.DOTALL | re.MULTILINE):
        for line in (found[1] or found[2]).splitlines():
            command = re.sub(r" +# .*", "", line).strip()
            if command.startswith((*OURS, "EDITOR=")) and not command.startswith(ELSEWHERE):
                yield command


@dataclass
class Shift:
    """Somebody with the runbook, where a worker runs."""

    node: Node
    worker: WorkerProcess
    folder: Path
    environment: dict[str, str]

    def run(self, command: str) -> str | None:
        """What went wrong with a command; None if nothing did."""
        said = next((typed for word, typed in ASKED.items() if word in command), "")
        if command.startswith("rabbitmq"):
            program, *arguments = self._filled(shlex.split(command), inside=True)
            if "add_user" in command and self.node.version >= "4":
                arguments.append(said.strip())  # it does not ask one who has no terminal
            try:
                self.node.tool(program, *arguments, stdin=said)
            except NodeError as error:
                return f"{command}: {error}"
            return None
        if any(each in command for each in CONFIRMED):
            command += " --yes"
        command = command.replace("127.0.0.1:9464", f"127.0.0.1:{self.worker.port}")
        plain = command.removeprefix("EDITOR=./mend.sh ")  # as is set for all
        process = subprocess.Popen(
            self._filled(shlex.split(plain)),
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if command in STAYS:
            assert process.stdout is not None
            assert process.stdout.readline(), command
            process.send_signal(signal.SIGINT)
        try:
            out, _ = process.communicate(said, timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            out, _ = process.communicate()
        fine = process.returncode == 0 or "No dead letters match." in out
        return None if fine else f"{command}: {process.returncode}: {out}"

    def _filled(self, words: list[str], *, inside: bool = False) -> list[str]:
        """The words, with something in the place of what stands for it.

        `inside`: for a program that sees the files of the node, which may be in another Debian.
        """
        folder = Path("/mnt") if inside and self.node.version >= "4" else self.folder
        file = {"validate": "edits.jsonl", "import": "letters.jsonl"}.get(words[-2], "saved.json")
        given = {"FILE": str(folder / file), "NAME": "taskedit"}
        if "ID" in words:
            given["ID"] = self.invalid()
        return [given.get(word, word) for word in words]

    def invalid(self) -> str:
        """The message id of an edit that has just been set aside as invalid."""
        bad, name = [edit(7, redialTimes=9)], f"invalid-{os.urandom(4).hex()}"
        before = self.worker.lane("acme")["edits"].get("invalid", 0)
        [message_id] = publish(self.node.amqp_url, Names().exchange, bad, ids=name)
        until(lambda: self.worker.lane("acme")["edits"].get("invalid", 0) > before)
        return message_id


def test_every_command_works_in_the_order_written(
    new_node: NewNode, simulator: Simulator, new_worker: NewWorker, tmp_path: Path
) -> None:
    node = new_node(plugins=["rabbitmq_management"])
    accounts = tmp_path / "accounts.toml"
    accounts.write_text(
        f'[accounts.acme]\napi_key = "{KEY}"\napi_secret = "{SECRET}"\napp_ids = ["acme-app"]\n'
    )
    settings = {
        "AMQP_URL": node.amqp_url,
        "NAMESPACE": "task-edit",
        "ACCOUNTS_FILE": str(accounts),
        "API_KEY": "",
        "API_SECRET": "",
        "HEARTBEAT": "1s",
    }
    worker = new_worker(ready=True, **settings)
    mend = tmp_path / "mend.sh"
    mend.write_text('#!/bin/sh\nsed -i \'s/"redialTimes": *9/"redialTimes": 3/\' "$1"\n')
    mend.chmod(0o755)
    (tmp_path / "edits.jsonl").write_text(
        '{"appId": "acme-app", "jobId": 1, "name": "n",'
        ' "dialogFlowId": 1, "mode": "MANUAL", "dailyStartDateTime": "09:00",'
        ' "dailyEndDateTime": "20:00", "robotCount": 1, "jobPhoneNumberId": 1,'
        ' "redial": false}\n'
    )
    own = {f"TASKEDIT_{name}": value for name, value in settings.items() if value} | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "EDITOR": str(mend),
        "TASKEDIT_API_URL": simulator.url,
        "TASKEDIT_MANAGEMENT_URL": node.management_url,
        "TASKEDIT_OPS_ADDRESS": f"127.0.0.1:{worker.port}",
        "TASKEDIT_STATE_DIR": str(tmp_path / "of-commands"),
    }
    shift = Shift(node, worker, tmp_path, own)
    shift.invalid()  # `watch` has something to show, and so has `dead show`
    simulator.answer("-33", job=8, times=1)
    publish(node.amqp_url, "task-edit", [edit(8)], ids="refused")
    wrong: list[str] = []
    for command in dict.fromkeys(commands()):  # each once, where it comes first
        uninstalls = command == "taskedit topology delete"
        if uninstalls:
            worker.stop()
            letters(node.amqp_url, "task-edit")
        elif "--reason invalid" in command:
            shift.invalid()
        found = shift.run(command)
        if found:
            wrong.append(found)
        if uninstalls:
            worker.start()
            worker.ready()
    assert wrong == []
