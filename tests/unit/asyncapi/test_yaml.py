from __future__ import annotations

from typing import TYPE_CHECKING

import yaml as pyyaml
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.yaml import yaml

if TYPE_CHECKING:
    from schemas.yaml import Value

TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.text(" \n\ta:-#'\"\\|>é{}[]0😀\x85")
LONG = st.lists(st.text("abc:#-'é", min_size=1), min_size=20).map(" ".join)
KEYS = TEXTS.map(lambda text: text[:60])
VALUES: st.SearchStrategy[Value] = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS | LONG,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)

WRITTEN = """\
info:
  title: Task edits
  version: "1.0"
  "on": true
  note: "one: two"
items:
  - a: 1
    b:
      - []
      - {}
  - - null
text: |-
  First.

  - point
long: >-
  word word word word word word word word word word word word word word word word word word word
  word word
"""


@given(VALUES)
@example("a\n\n  b\nc" * 20)
@example([["x" * 200]])
def test_another_reader_finds_the_same_value(value: Value) -> None:
    assert pyyaml.safe_load(yaml(value)) == value


def test_people_like_to_read_it() -> None:
    value: Value = {
        "info": {"title": "Task edits", "version": "1.0", "on": True, "note": "one: two"},
        "items": [{"a": 1, "b": [[], {}]}, [None]],
        "text": "First.\n\n- point",
        "long": " ".join(["word"] * 21),
    }
    assert yaml(value) == WRITTEN
