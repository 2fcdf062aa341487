"""Code that generators write from the contract, used: its edit is published, its event is real."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from ops.programs import ensure
from ops.rabbitmq.install import AbsentError
from schemas import examples
from tests import npm
from tests.acceptance.kit import publish, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from ops.simulator.control import Simulator
    from tests.acceptance.conftest import NewWorker
    from tests.acceptance.kit import Subscriber

ROOT = Path(__file__).parents[2]
ASYNCAPI = ROOT / "schemas" / "asyncapi.yaml"
MODELINA = Path(__file__).parent / "modelina"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(npm.INSTALL_SECONDS + 120)]


class Generated(Protocol):
    """Code that was generated from the contract."""

    def edit(self, fields: dict[str, Any]) -> dict[str, Any]:
        """An edit of the generated type, as it writes it."""

    def event(self, outcome: str, body: str) -> dict[str, Any]:
        """What the generated type of that outcome's event reads: id, type, job, reason, detail."""


class Modelina:
    """Classes or types of another language, used by a program in it."""

    def __init__(self, folder: Path, language: str, *command: object) -> None:
        self._command = command
        self.names = run("node", "generate.mjs", ASYNCAPI, folder, language).split()

    def edit(self, fields: dict[str, Any]) -> dict[str, Any]:
        written: dict[str, Any] = json.loads(run(*self._command, "edit", json.dumps(fields)))
        return written

    def event(self, outcome: str, body: str) -> dict[str, Any]:
        read: dict[str, Any] = json.loads(run(*self._command, outcome, body))
        return read


class Pydantic:
    """Models that datamodel-code-generator wrote."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def edit(self, fields: dict[str, Any]) -> dict[str, Any]:
        edit = self._module.TaskEdit(**fields)
        written: dict[str, Any] = json.loads(edit.model_dump_json(exclude_none=True))
        return written

    def event(self, outcome: str, body: str) -> dict[str, Any]:
        model = {"applied": "AppliedEvent", "rejected": "RejectedEvent"}[outcome]
        read = getattr(self._module, model).model_validate_json(body)
        data = read.data
        reason = None if data.reason is None else data.reason.value
        return {"id": read.id, "type": read.type, "job": data.jobId} | {
            "reason": reason,
            "detail": data.detail,
        }


def run(*command: object, **environ: str) -> str:
    done = subprocess.run(
        [str(each) for each in command],
        cwd=MODELINA,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def javascript(folder: Path) -> Generated:
    npm.install(MODELINA)
    made = Modelina(folder, "js", "node", "use.cjs", folder)
    assert {"TaskEdit", "AppliedEvent", "RejectedEvent", "Heartbeat"} <= set(made.names)
    return made


def go(folder: Path) -> Generated:
    npm.install(MODELINA)
    try:
        ensure("go")
    except AbsentError as absent:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(absent))
    made = Modelina(folder, "go", folder / "use")
    assert [name for name in made.names if "nonymous" in name] == []
    shutil.copy(MODELINA / "use.go", folder)
    sources = sorted(folder.glob("*.go"))
    run("go", "build", "-o", folder / "use", *sources, GO111MODULE="off")
    return made


def python(folder: Path) -> Generated:
    command = Path(sys.executable).with_name("datamodel-codegen")
    file = folder / "generated_contract.py"
    run(
        *(command, "--input", ASYNCAPI, "--input-file-type", "asyncapi", "--output", file),
        *("--output-model-type", "pydantic_v2.BaseModel", "--formatters", "builtin"),
    )
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module  # pydantic resolves names there
    spec.loader.exec_module(module)
    return Pydantic(module)


@pytest.mark.parametrize("language", [javascript, go, python])
def test_a_generated_edit_is_published_and_its_events_are_parsed(
    language: Callable[[Path], Generated],
    amqp_url: str,
    namespace: str,
    simulator: Simulator,
    new_worker: NewWorker,
    events: Subscriber,
    tmp_path: Path,
) -> None:
    generated = language(tmp_path)
    fields = examples.EDITS[0]
    job = fields["jobId"]
    simulator.answer("-33", job=job, times=1)
    new_worker(API_TIMEZONE="Asia/Shanghai", DAILY_WINDOW="00:00-23:59")

    written = generated.edit(fields)
    assert written == fields
    publish(amqp_url, namespace, [written, written], key=fields["appId"])

    until(lambda: len(events.take()) == 2)
    rejected, applied = events.events
    read = generated.event("rejected", json.dumps(rejected))
    assert read == {
        "id": rejected["id"],
        "type": "task-edit.rejected.v1",
        "job": job,
        "reason": "api_rejected",
        "detail": rejected["data"]["detail"],
    }
    read = generated.event("applied", json.dumps(applied))
    assert (read["id"], read["type"], read["job"]) == (applied["id"], "task-edit.applied.v1", job)
    assert read["reason"] is None
