"""Code that generators write from the contract is used: an edit goes out, an event is read."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from schemas import Reason, TaskEdit, examples, read, validate
from tests import npm
from tests.unit.schemas.builders import event

ROOT = Path(__file__).parents[3]
ASYNCAPI = ROOT / "schemas" / "asyncapi.yaml"
MODELINA = Path(__file__).parent / "modelina"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(npm.INSTALL_SECONDS + 120)]


def run(*command: object) -> str:
    done = subprocess.run(
        [str(each) for each in command],
        cwd=MODELINA,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_javascript_by_modelina(tmp_path: Path) -> None:
    npm.install(MODELINA)
    names = run("node", "generate.mjs", ASYNCAPI, tmp_path).split()
    rejected = event(outcome="rejected", reason=Reason.INVALID)

    told = json.loads(
        run("node", "use.cjs", tmp_path, json.dumps(examples.EDITS[0]), rejected.decode())
    )

    assert {"TaskEdit", "AppliedEvent", "RejectedEvent", "Heartbeat"} <= set(names)
    assert [name for name in names if "nonymous" in name] == []
    document = read(told["edit"].encode())
    assert document == examples.EDITS[0]
    assert isinstance(validate(examples.EDITS[0]), TaskEdit)
    written = json.loads(rejected)
    assert told["event"] == {
        "id": written["id"],
        "type": "task-edit.rejected.v1",
        "job": written["data"]["jobId"],
        "reason": "invalid",
        "detail": written["data"]["detail"],
    }


def test_python_by_datamodel_code_generator(tmp_path: Path) -> None:
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    command = shutil.which("datamodel-codegen", path=path)
    if command is None:
        pytest.skip("datamodel-codegen is absent: pip install datamodel-code-generator")
    file = tmp_path / "generated_contract.py"
    run(
        *(command, "--input", ASYNCAPI, "--input-file-type", "asyncapi", "--output", file),
        *("--output-model-type", "pydantic_v2.BaseModel", "--formatters", "builtin"),
    )
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    generated = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = generated
    try:
        spec.loader.exec_module(generated)
        edit = generated.TaskEdit(**examples.EDITS[0])
        applied = generated.AppliedEvent.model_validate_json(event())
        rejected = generated.RejectedEvent.model_validate_json(
            event(outcome="rejected", reason=Reason.INVALID)
        )
    finally:
        del sys.modules[file.stem]

    document = read(edit.model_dump_json(exclude_none=True).encode())
    assert isinstance(document, dict)
    assert isinstance(validate(document), TaskEdit)
    assert (applied.type, applied.data.reason) == ("task-edit.applied.v1", None)
    assert rejected.data.reason is generated.Reason.invalid
