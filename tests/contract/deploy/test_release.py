"""A release says one version, holds what its tests and operators need, and reads well elsewhere."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder

from hatch_build import absolute

PROJECT = tomllib.loads(Path("pyproject.toml").read_text())["project"]


def test_the_changelog_begins_with_the_version() -> None:
    changelog = Path("CHANGELOG.md").read_text()
    headings = re.findall(r"^## \[(.+?)\] - \d{4}-\d\d-\d\d$", changelog, re.MULTILINE)
    assert headings[0] == PROJECT["version"]


@pytest.mark.parametrize("path", ["pyproject.toml", "ops/kubernetes/kustomization.yaml"])
def test_every_version_is_the_same(path: str) -> None:
    said = rf"(version = \"|newTag: ){re.escape(PROJECT['version'])}\b"
    assert re.search(said, Path(path).read_text())


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
