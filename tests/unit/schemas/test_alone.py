"""A publisher needs pydantic and nothing else of ours or of others."""

from __future__ import annotations

import subprocess
import sys

IMPORT_WITH_PYDANTIC_ONLY = """
import sys
from importlib.abc import MetaPathFinder

ALLOWED = {"schemas", "pydantic", "pydantic_core", "annotated_types", "typing_extensions",
           "typing_inspection"}
# Not in the list of the standard library's modules, and yet how it finds its time zones.
OF_ZONEINFO = ("_sysconfigdata", "tzdata")

class Nothing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        known = name.partition(".")[0] in ALLOWED | sys.stdlib_module_names
        if not known and not name.startswith(OF_ZONEINFO):
            raise ModuleNotFoundError(f"{name} is not there", name=name)

sys.meta_path.insert(0, Nothing())
import schemas

document = schemas.read(b'{"jobId": 1}')
problems = schemas.validate(document).problems
print(len(schemas.__all__), len(problems))
"""


def test_the_contract_is_importable_with_pydantic_alone() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_WITH_PYDANTIC_ONLY],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert done.stderr == ""
    names, problems = done.stdout.split()
    assert int(names) > 20
    assert int(problems) == 9


def test_the_names_it_promises_are_there() -> None:
    import schemas  # noqa: PLC0415 - what the test is about

    assert [name for name in schemas.__all__ if not hasattr(schemas, name)] == []
    assert sorted(schemas.__all__) == sorted(set(schemas.__all__))
