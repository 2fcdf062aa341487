from __future__ import annotations

from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import pytest

from ops.simulator.sign import refusal, signature
from tests.contract.simulator.caller import KEY, body, call, signed

if TYPE_CHECKING:
    from collections.abc import Callable

    from ops.simulator.control import Simulator

NOW = 1630468800.0
SECRETS = {"bDqJFiq9": "7bz1lzh9"}
GOOD = {
    "sign": "05d7a50893e22a5c4bb3216ae3396c7c",
    "timestamp": "1630468800",
    "api-key": "bDqJFiq9",
}


def test_the_signature_is_that_of_the_providers_page() -> None:
    assert signature("bDqJFiq9", "7bz1lzh9", "1630468800") == GOOD["sign"]
    assert signature("bD8JFiq9", "7bz1lzh9", "1630468800") != GOOD["sign"]  # its typing error


@pytest.mark.parametrize(
    ("changes", "now", "status"),
    [
        ({}, NOW, None),
        ({}, NOW + 60, None),
        ({}, NOW - 60, None),
        ({}, NOW + 60.001, "-4"),
        ({}, NOW - 60.001, "-4"),
        ({"sign": ""}, NOW, "-57"),
        ({"timestamp": ""}, NOW, "-58"),
        ({"api-key": ""}, NOW, "-59"),
        ({"api-key": "bD8JFiq9"}, NOW, "-1"),
        ({"sign": GOOD["sign"].upper()}, NOW, "-1"),
        ({"sign": "ÿ" * 32}, NOW, "-1"),
        ({"timestamp": "1630468801"}, NOW, "-1"),
        ({"timestamp": "1630468800000"}, NOW, "-4"),
        ({"timestamp": "now"}, NOW, "-4"),
        ({"timestamp": "١٦٣٠٤٦٨٨٠٠"}, NOW, "-4"),
    ],
)
def test_headers_earn_their_status(changes: dict[str, str], now: float, status: str | None) -> None:
    headers = GOOD | changes
    assert refusal(headers, SECRETS, now=now, window=timedelta(seconds=60)) == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (lambda: signed(KEY, "another secret"), "-1"),
        (lambda: {"Sign": ""}, "-57"),
        (lambda: {"Timestamp": ""}, "-58"),
        (lambda: {"Api-Key": ""}, "-59"),
        (lambda: signed(ahead=-300), "-4"),
        (lambda: signed(ahead=300), "-4"),
    ],
    ids=("wrong secret", "no sign", "no timestamp", "no key", "late", "early"),
)
def test_a_bad_signature_is_told_before_anything_of_the_body(
    simulator: Simulator, headers: Callable[[], dict[str, str]], status: str
) -> None:
    assert call(simulator.url, b"no json", headers()).status == status


def test_a_caller_can_mend_its_clock_by_the_date_header(simulator: Simulator) -> None:
    simulator.settings(clock_offset=-3600)
    refused = call(simulator.url)
    assert refused.status == "-4"
    refused_at = simulator.calls()[0].arrived
    told = refused.headers["Date"]
    simulator.settings(timestamp_window=2)
    offset = parsedate_to_datetime(told).timestamp() - refused_at
    assert offset == pytest.approx(-3600, abs=1.5)
    assert call(simulator.url, body(), signed(ahead=offset)).status == "0"
