"""Headers that a connection does not carry are left out, the largest first, and it is said."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.builders import headers, properties
from worker.core.headers import Headers
from worker.core.message import DETAIL_BYTES, fit

OWN = {"taskedit-reason": "invalid", "taskedit-detail": "name is required."}


def names(found: Headers) -> list[str]:
    return [name for name, _ in found]


def test_the_largest_of_the_publishers_headers_go_and_the_rest_stays_in_order() -> None:
    given_ = Headers.of({"a": "x" * 10, "b": "x" * 900, "c": "x" * 300, "d": ""} | OWN)

    fitted, left_out = fit(properties(headers=given_), 400)

    assert left_out == ("b", "c")
    assert [name for name in names(fitted.headers) if name in "abcd"] == ["a", "d"]
    assert (fitted.headers.text("taskedit-detail") or "").startswith(OWN["taskedit-detail"])
    assert (fitted.headers.text("taskedit-detail") or "").endswith(": 2 of its headers)")


def test_what_is_no_letter_loses_headers_without_a_word() -> None:
    fitted, left_out = fit(properties(headers=headers(a="x" * 100, b="x")), 50)

    assert left_out == ("a",)
    assert names(fitted.headers) == ["b"]


@given(
    st.dictionaries(st.text(max_size=20), st.text(max_size=400), max_size=8),
    st.text(max_size=DETAIL_BYTES),
    st.integers(200, 4000),
)
def test_whatever_there_is_fits(texts: dict[str, str], detail: str, room: int) -> None:
    kept = Headers.of({name: text for name, text in texts.items() if not name.startswith("task")})
    fitted, _ = fit(properties(headers=kept.merged(OWN | {"taskedit-detail": detail})), room)

    assert len(fitted.headers.table) <= room
    assert fitted.headers.text("taskedit-reason") == "invalid"
    assert len((fitted.headers.text("taskedit-detail") or "").encode()) <= DETAIL_BYTES
