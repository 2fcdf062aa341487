from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.fakes import LOOPS

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _no_loop_is_left() -> Iterator[None]:
    yield
    while LOOPS:
        LOOPS.pop().forget()
