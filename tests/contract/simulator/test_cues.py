from __future__ import annotations

import random
from datetime import timedelta

import pytest

from ops.simulator.control import RefusedError, Simulator
from ops.simulator.cues import Cues, Latency, Selector, Status, Who
from tests.contract.simulator.caller import KEY, body, call, until

WHO = Who("key", 5, "flaky-5")


@pytest.mark.parametrize(
    ("selector", "fits"),
    [
        (Selector(), True),
        (Selector(account="key"), True),
        (Selector(account="other"), False),
        (Selector(job=5), True),
        (Selector(job=6), False),
        (Selector(name="flaky-*"), True),
        (Selector(name="flaky"), False),
        (Selector(account="key", job=5, name="*-5"), True),
        (Selector(account="key", job=5, name="*-6"), False),
    ],
)
def test_every_part_of_a_selector_has_to_fit(selector: Selector, fits: bool) -> None:
    assert selector.fits(WHO) is fits


def test_a_name_selects_nothing_of_a_call_without_one() -> None:
    assert not Selector(name="*").fits(Who("key", None, None))


def test_the_latest_that_fits_wins_and_one_behind_it_shows_when_it_is_over() -> None:
    cues = Cues()
    cues.add(Selector(), Status("-5"))
    cues.add(Selector(job=5), Status("-33"), times=1)
    cues.add(Selector(account="other"), Status("-1"))
    found = [cues.take("status", WHO, 0), cues.take("status", WHO, 0)]
    assert found == [Status("-33"), Status("-5")]


def test_of_two_that_fit_the_later_is_used_up_first() -> None:
    cues = Cues()
    cues.add(Selector(), Status("-5"), times=1)
    cues.add(Selector(), Status("-6"), times=1)
    assert [cues.take("status", WHO, 0) for _ in range(3)] == [Status("-6"), Status("-5"), None]


def test_a_later_cue_for_all_wins_over_one_for_the_job() -> None:
    cues = Cues()
    cues.add(Selector(job=5), Status("-33"))
    cues.add(Selector(), Status("-5"))
    assert cues.take("status", WHO, 0) == Status("-5")


def test_a_cue_ends_with_its_uses_or_its_time_whichever_is_first() -> None:
    cues = Cues()
    cues.add(Selector(), Status("-5"), times=2, until=100)
    assert cues.take("status", WHO, 99.9) == Status("-5")
    assert cues.take("status", WHO, 100) is None
    cues.add(Selector(), Status("-6"), times=1, until=100)
    assert cues.take("status", WHO, 0) == Status("-6")
    assert cues.take("status", WHO, 0) is None


def test_sorts_of_effect_do_not_hide_one_another() -> None:
    cues = Cues()
    cues.add(Selector(), Status("-5"))
    cues.add(Selector(), Latency(timedelta(seconds=1), timedelta()))
    assert cues.take("status", WHO, 0) == Status("-5")


def test_a_share_of_the_calls_is_taken() -> None:
    cues = Cues(chance=random.Random(1))
    cues.add(Selector(share=0.25), Status("-5"))
    taken = sum(cues.take("status", WHO, 0) is not None for _ in range(4000))
    assert 900 < taken < 1100


def test_a_setting_given_again_and_again_does_not_pile_up() -> None:
    cues = Cues()
    for status in ("-5", "-6", "-1"):
        cues.add(Selector(), Status(status))
    cues.add(Selector(), Status("-3"), state=True)
    assert [cue.effect for cue in cues.alive(0)] == [Status("-1"), Status("-3")]


def test_one_cue_can_be_taken_back() -> None:
    cues = Cues()
    cues.add(Selector(), Status("-5"), times=9)
    number = cues.add(Selector(), Status("-6"), times=9)
    assert cues.drop(number)
    assert not cues.drop(number)
    assert cues.take("status", WHO, 0) == Status("-5")


@pytest.mark.parametrize("exponential", [False, True])
def test_a_latency_is_its_fixed_part_and_a_jitter(exponential: bool) -> None:
    latency = Latency(timedelta(seconds=1), timedelta(seconds=2), exponential)
    chance = random.Random(1)
    drawn = [latency.draw(chance) for _ in range(10_000)]
    assert min(drawn) >= 1
    assert (max(drawn) > 3) is exponential
    assert sum(drawn) / len(drawn) == pytest.approx(3 if exponential else 2, rel=0.05)


def test_a_latency_delays_the_answer_of_its_job(simulator: Simulator) -> None:
    simulator.latency("80ms", job=5)
    call(simulator.url, body(jobId=5))
    call(simulator.url, body(jobId=6))
    slow, quick = ((each.ended or 0) - each.arrived for each in simulator.calls())
    assert slow >= 0.079
    assert quick >= 0


def test_a_state_for_a_time_ends_by_itself(simulator: Simulator) -> None:
    simulator.state("balance_gone", seconds=0.2)
    assert call(simulator.url).status == "-3"
    until(lambda: call(simulator.url).status == "0")


def test_an_answer_does_not_hide_a_bad_signature(simulator: Simulator) -> None:
    simulator.answer("0")
    assert call(simulator.url, headers={"Sign": "bad"}).status == "-1"


def test_clear_takes_everything_back(simulator: Simulator) -> None:
    simulator.answer("-3")
    simulator.state("down")
    simulator.fault("stall", account=KEY)
    simulator.clear()
    assert call(simulator.url).status == "0"
    assert simulator.status()["cues"] == []


@pytest.mark.parametrize(
    ("path", "fields", "problem"),
    [
        ("fault", {"kind": "no such"}, "no such fault: 'no such'; there are http, "),
        ("fault", {}, "kind is missing"),
        ("fault", {"kind": "http", "form": "xml"}, "form is one of spring, json"),
        ("fault", {"kind": "http", "code": "503"}, "code is a whole number from 1, not '503'"),
        ("answer", {"status": "-3", "acount": "x"}, "there is no field 'acount'; there are "),
        ("answer", {"status": "-3", "job": "5"}, "job is a whole number from 1, not '5'"),
        ("answer", {"status": "-3", "times": 0}, "times is a whole number from 1, not 0"),
        ("answer", {"status": "-3", "share": 2}, "share is a number from 0 to 1, not 2"),
        ("answer", {"status": "-3", "seconds": "soon"}, "not a duration: 'soon'"),
        ("latency", {"latency": "1s", "shape": "flat"}, "shape is uniform or exponential"),
        ("state", {"state": "odd"}, "no such state: 'odd'; there are running, balance_gone"),
        ("account", {"key": "a", "secret": "b", "rate": "fast"}, "not a rate: 'fast'"),
        ("account", {"key": "a", "secret": "b", "app_ids": "x"}, "app_ids is a list of texts"),
        ("account", {"key": "a"}, "secret is missing"),
        ("settings", {"unique_names": "yes"}, "unique_names is true or false, not 'yes'"),
        ("unheard", {}, "no such control path: POST /_simulator/unheard"),
    ],
)
def test_a_mistake_in_a_control_request_is_named(
    simulator: Simulator, path: str, fields: dict[str, object], problem: str
) -> None:
    with pytest.raises(RefusedError) as refused:
        simulator.post(path, fields)
    assert problem in str(refused.value)
