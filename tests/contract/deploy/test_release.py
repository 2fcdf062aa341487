"""A release says one version, holds what its tests and operators need, and reads well elsewhere."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from hatchling.builders.sdist import SdistBuilder

from hatch_build import SOURCE_VARIABLE, absolute

PROJECT = tomllib.loads(Path("pyproject.toml").read_text())["project"]


def test_the_changelog_begins_with_the_version() -> None:
    changelog = Path("CHANGELOG.md").read_text()
    headings = re.findall(r"^## \[(.+?)\] - \d{4}-\d\d-\d\d$", changelog, re.MULTILINE)
    assert headings[0] == PROJECT["version"]


@pytest.mark.parametrize(
    "path",
    [
        "pyproject.toml",
        "ops/kubernetes/kustomization.yaml",
        "ops/kubernetes/console/kustomization.yaml",
    ],
)
def test_every_version_is_the_same(path: str) -> None:
    said = rf"(version = \"|newTag: ){re.escape(PROJECT['version'])}\b"
    assert re.search(said, Path(path).read_text())


def test_an_image_is_tagged_by_the_version_as_the_manifests_name_it(tmp_path: Path) -> None:
    workflow = yaml.safe_load(Path(".github/workflows/release.yml").read_text())
    steps = {step.get("id"): step for step in workflow["jobs"]["image"]["steps"]}
    environ = {"GITHUB_REF_NAME": f"v{PROJECT['version']}", "GITHUB_OUTPUT": str(tmp_path / "out")}
    subprocess.run(("sh", "-c", steps["version"]["run"]), env=environ, check=True)
    assert (tmp_path / "out").read_text() == f"number={PROJECT['version']}\n"
    assert steps["push"]["with"]["tags"].endswith(":${{ steps.version.outputs.number }}")


@pytest.mark.parametrize(
    ("text", "then"),
    [
        ("[a](ops/x.md#y)", "[a](P/ops/x.md#y)"),
        ("![a](x.svg)", "![a](R/x.svg)"),
        ("[`a`](ops/)", "[`a`](P/ops/)"),
        ("[a](https://b.c) [d](#e)", "[a](https://b.c) [d](#e)"),
    ],
)
def test_links_of_the_packages_readme_lead_to_the_repository(text: str, then: str) -> None:
    assert absolute(text, "P", "R") == then


def metadata(source: str) -> dict[str, Any]:
    """What a package says of itself when it is made for that repository."""
    command = (sys.executable, "-m", "hatchling", "metadata")
    environ = {"PATH": os.environ["PATH"], SOURCE_VARIABLE: source}
    told = subprocess.run(command, env=environ, capture_output=True, check=True)
    found: dict[str, Any] = json.loads(told.stdout)
    return found


def test_a_package_leads_to_the_repository_that_it_is_released_from() -> None:
    told = metadata("https://forge.example/a/b/")
    there = f"https://forge.example/a/b/blob/v{PROJECT['version']}"
    assert told["urls"]["Source"] == "https://forge.example/a/b"
    assert told["urls"]["Changelog"] == f"{there}/CHANGELOG.md"
    assert f"]({there}/ops/runbook.md" in told["readme"]["text"]
    assert "](ops/" not in told["readme"]["text"]


def test_a_package_that_is_made_for_no_repository_names_none() -> None:
    told = metadata("")
    assert not told.get("urls")
    assert told["readme"]["text"] == Path("README.md").read_text()


def test_every_folder_of_tests_that_is_run_by_name_exists() -> None:
    callers = (Path("Makefile"), Path(".ci/run"), *Path(".github/workflows").glob("*.yml"))
    named = {
        path.strip()
        for caller in callers
        for path in re.findall(r"\stests(?:/\w+)+(?=\s)", caller.read_text())
    }
    assert {"tests/unit", "tests/contract/broker"} <= named
    assert [path for path in named if not Path(path).exists()] == []


def test_every_link_of_the_readme_leads_to_something() -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", Path("README.md").read_text())
    assert links
    assert [link for link in links if not Path(link).exists()] == []


def test_the_source_archive_holds_tests_and_ops_and_nothing_that_was_built() -> None:
    builder = SdistBuilder(str(Path.cwd()))
    files = {file.distribution_path for file in builder.recurse_included_files()}
    for path in (
        "Makefile",
        "requirements.lock",
        "tests/conftest.py",
        "ops/systemd/task-edit-worker.service",
        "ops/prometheus/alerts.yml",
        "ops/grafana/dashboards/fleet.json",
        "docker-compose.yml",
    ):
        assert path in files
    unwanted = (".venv", "build/", "dist/", ".git/", "ops/docs/node_modules")
    assert [file for file in files if file.startswith(unwanted)] == []
