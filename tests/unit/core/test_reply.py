from __future__ import annotations

import gzip
import json
import zlib
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.reply import (
    LONGEST_PAUSE,
    REASON_LENGTH,
    Answered,
    Reply,
    Unanswered,
    answer,
    http_date,
    retry_after,
)

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
DATE = "Sun, 22 Nov 2026 08:00:00 GMT"


pressed = partial(gzip.compress, mtime=0)


def read(body: bytes | str, code: int = 200, **headers: str) -> Reply:
    """The answer of a reply; header names are written with underscores."""
    content = body.encode() if isinstance(body, str) else body
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return answer(code, names, content, now=NOW)


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ('{"status":"0","reason":"success","data":null}', "0", "success"),
        ('{"status":0,"reason":"success","data":123}', "0", "success"),
        ('{"status":-33,"reason":"外呼任务名称已存在"}', "-33", "外呼任务名称已存在"),
        ('{"status":"-33","reason":null}', "-33", None),
        ('{"status":" 0 ","reason":""}', "0", None),
        ('{"status":"E_LIMIT"}', "E_LIMIT", None),
        ('{"status":"0","reason":{"code":1}}', "0", None),
        ('\ufeff{"status":"0","reason":"with a byte order mark"}', "0", "with a byte order mark"),
        (b'{"status":"-1","reason":"\xd5\xcb\xba\xc5"}', "-1", "\ufffd˺\ufffd"),
        ('{"status":"0","reason":"a\\r\\n\\u001b[31mb\\u202e c\\u0000"}', "0", "a [31mb c"),
        ('  {"status":"0"}\r\n', "0", None),
        ('{"status":"-1","status":"0"}', "0", None),
    ],
)
def test_a_readable_body_is_an_answer(body: bytes | str, status: str, reason: str | None) -> None:
    assert read(body) == Answered(status, reason)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("", "an empty body"),
        (" \r\n", "an empty body"),
        ("<html>Welcome</html>", "a page (HTML) instead of JSON"),
        ('"0"', "no JSON object"),
        ("[]", "no JSON object"),
        ("null", "no JSON object"),
        ('{"status":"0"', "no JSON object"),
        ('{"status":NaN}', "no JSON object"),
        ('{"status":"0","data":Infinity}', "no JSON object"),
        ('{"status":"0","reason":"\\ud800"}', "no JSON object"),
        ('{"status":"0"}{"status":"0"}', "no JSON object"),
        ("[" * 5000, "no JSON object"),
        ('{"status":' + "9" * 5000 + "}", "no JSON object"),
        ('{"status":' + "9" * 25 + "}", "without a status"),
        ("{}", "without a status"),
        ('{"status":null}', "without a status"),
        ('{"status":true}', "without a status"),
        ('{"status":0.0}', "without a status"),
        ('{"status":[0]}', "without a status"),
        ('{"status":""}', "without a status"),
        ('{"status":"0\\r\\n"}', None),
        ('{"status":"a b"}', "without a status"),
        ('{"status":"' + "0" * 33 + '"}', "without a status"),
    ],
)
def test_an_unreadable_body_is_no_answer(body: str, why: str | None) -> None:
    reply = read(body)
    if why is None:
        assert reply == Answered("0")
    else:
        assert isinstance(reply, Unanswered)
        assert reply.status == "http:200"
        assert why in reply.detail


def test_success_without_content_is_no_answer() -> None:
    assert read(b"", 204) == Unanswered(
        "the API answered HTTP 204 (No Content) with an empty body", "http:204"
    )


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", pressed(b'{"status":"0"}')),
        ("GZip", pressed(b'{"status":"0"}')),
        ("x-gzip", pressed(b'{"status":"0"}')),
        ("deflate", zlib.compress(b'{"status":"0"}')),
        ("Identity", b'{"status":"0"}'),
        ("", b'{"status":"0"}'),
        ("none", b'{"status":"0"}'),
        ("UTF-8", b'{"status":"0"}'),
        ("br", b'{"status":"0"}'),
        ("gzip", b'{"status":"0"}'),
        ("gzip, identity", pressed(b'{"status":"0"}')),
        ("gzip", pressed(b'{"status":"0"}' + b" " * 60_000)),
    ],
)
def test_a_body_compressed_unasked_is_read(encoding: str, body: bytes) -> None:
    assert read(body, content_encoding=encoding) == Answered("0")


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("br", b"\x0b\x02\x80"),
        ("gzip, gzip", pressed(pressed(b'{"status":"0"}'))),
        ("gzip", pressed(b'{"status":"0"}')[:-4]),
        ("gzip", pressed(b'{"status":"0"}' + b" " * 65_536)),
        ("gzip", pressed(b'{"status":"0"}' + b" " * 30_000_000)),
        ("deflate", b"\x00"),
    ],
)
def test_a_compressed_body_that_cannot_be_read_within_bounds_is_no_answer(
    encoding: str, body: bytes
) -> None:
    assert read(body, content_encoding=encoding) == Unanswered(
        "the API answered HTTP 200 (OK) with a compressed body that cannot be read", "http:200"
    )


@pytest.mark.parametrize("code", [500, 501, 502, 503, 504, 599, 600, 999, 99])
def test_an_error_of_the_server_is_no_answer_whatever_its_body_says(code: int) -> None:
    spring = {"timestamp": 1, "status": 0, "error": "Internal Server Error", "reason": "success"}
    reply = read(json.dumps(spring), code)
    assert isinstance(reply, Unanswered)
    assert reply.status == f"http:{code}"
    assert "success" not in reply.detail


@pytest.mark.parametrize("code", [300, 301, 302, 304, 307, 400, 401, 403, 404, 413, 422, 499])
def test_redirects_and_errors_of_the_client_are_answers(code: int) -> None:
    assert read('{"status":"0"}', code) == Answered(f"http:{code}")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"reason":"no such app"}', "no such app"),
        ('{"message":"Not Found","status":404}', "Not Found"),
        ('{"reason":"","message":"gone"}', "gone"),
        ('{"reason":7}', None),
        ("<h1>404</h1>", None),
        ("not found", None),
        ('{"message":"' + "x" * 5000 + '"}', None),
    ],
)
def test_an_http_error_gives_its_words_only_if_they_are_short_json(
    body: str, words: str | None
) -> None:
    assert read(body, 404) == Answered("http:404", words)


def test_words_are_bounded() -> None:
    reply = read(json.dumps({"status": "0", "reason": "x" * 40_000}))
    assert reply == Answered("0", "x" * REASON_LENGTH)


@pytest.mark.parametrize("code", [429, 503])
def test_throttling_is_an_answer_with_its_pause(code: int) -> None:
    pause = timedelta(seconds=7)
    expected = Answered(f"http:{code}", "slow down", NOW, pause)
    assert read('{"message":"slow down"}', code, retry_after="7", date=DATE) == expected
    assert read(b"", code, retry_after="soon") == Answered(f"http:{code}")


def test_429_needs_no_retry_after_and_503_does() -> None:
    assert read(b"", 429) == Answered("http:429")
    assert isinstance(read(b"", 503), Unanswered)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("7", 7),
        ("  7\t", 7),
        ("007", 7),
        ("1.5", 1.5),
        (".5", 0.5),
        ("2.", 2),
        ("3600", 3600),
        ("3601", 3600),
        ("99999999999999999999", 3600),
        ("-1", 0),
        ("-0.5", 0),
        ("Sun, 22 Nov 2026 08:00:30 GMT", 30),
        ("Sunday, 22-Nov-26 08:00:30 GMT", 30),
        ("Sun Nov 22 08:00:30 2026", 30),
        ("Sun, 22 Nov 2026 07:59:59 GMT", 0),
        ("Sun, 22 Nov 2026 10:00:30 +0200", 30),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600),
        ("Fri, 31 Dec 9999 23:59:59 -2300", None),
        ("", None),
        ("soon", None),
        ("1e3", None),
        ("0x10", None),
        ("+7", None),
        ("7 s", None),
        ("7, 8", None),
        ("\N{ARABIC-INDIC DIGIT SEVEN}", None),
        ("inf", None),
        ("nan", None),
        ("1" * 400, None),
        ("Sun, 99 Nov 2026 08:00:00 GMT", None),
        ("Sun, 22 Nov 2026 08:00:00 +99999999999999", None),
    ],
)
def test_retry_after_in_every_form(text: str, seconds: float | None) -> None:
    pause = None if seconds is None else timedelta(seconds=seconds)
    assert retry_after(text, NOW) == pause


def test_a_retry_after_date_counts_from_the_replys_own_date() -> None:
    half_past = "Sun, 22 Nov 2026 09:30:20 GMT"
    reply = read(b"", 429, retry_after=half_past, date="Sun, 22 Nov 2026 09:30:00 GMT")
    assert isinstance(reply, Answered)
    assert reply.retry_after == timedelta(seconds=20)
    reply = read(b"", 429, retry_after="Sun, 22 Nov 2026 08:00:20 GMT", date="no date")
    assert isinstance(reply, Answered)
    assert reply.retry_after == timedelta(seconds=20)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        (DATE, NOW),
        ("Sun, 22 Nov 2026 16:00:00 +0800", NOW),
        ("Sun, 22 Nov 2026 08:00:00 -0000", NOW),
        ("", None),
        ("yesterday", None),
        ("1772000000", None),
        ("Sun, 22 Nov 2026 25:00:00 GMT", None),
    ],
)
def test_dates(text: str, moment: datetime | None) -> None:
    assert http_date(text) == moment


@given(
    code=st.integers(0, 999),
    body=st.binary(max_size=200) | st.text(max_size=100).map(lambda text: text.encode("utf-8")),
    date=st.text(max_size=60),
    pause=st.text(max_size=60),
    kind=st.text(max_size=20),
)
def test_any_reply_is_read_without_an_exception(
    code: int, body: bytes, date: str, pause: str, kind: str
) -> None:
    headers = {"date": date, "retry-after": pause, "content-type": kind}
    check_bounds(answer(code, headers, body, now=NOW))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(code=st.sampled_from([200, 201, 400, 429, 500, 503]), status=JSON, reason=JSON)
def test_any_json_is_read_without_an_exception(code: int, status: object, reason: object) -> None:
    body = json.dumps({"status": status, "reason": reason}).encode()
    check_bounds(answer(code, {}, body, now=NOW))


def check_bounds(reply: Reply) -> None:
    match reply:
        case Unanswered(detail=detail):
            assert len(detail) < 200
        case Answered(status, reason, date, pause):
            assert 0 < len(status) <= 32
            assert reason is None or (len(reason) <= REASON_LENGTH and reason.isprintable())
            assert date is None or date.tzinfo is UTC
            assert pause is None or timedelta(0) <= pause <= LONGEST_PAUSE
