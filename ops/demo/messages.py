"""The messages of the demo: what is published, and what is to become of each.

The demo publishes `messages.jsonl`, which `python -m ops.demo.messages` prints.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FILE: Final = Path(__file__).with_name("messages.jsonl")

SALES, CARE, NOTIFY = "acme-sales", "acme-care", "globex-notify"
"""appIds: the first two belong to the account acme, the third to globex."""
UNAVAILABLE, SYSTEM_ERROR, CUT_OFF, HOPELESS = 301, 302, 303, 311
"""Jobs for which the API is in trouble; for the last one for good."""
TAKEN: Final = (321, 322, 323)
"""Jobs whose name another job has at the provider: it refuses them with -33."""
MAX_ROBOTS: Final = 50


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the demo."""

    id: str
    key: str
    """The routing key: the appId, as the publisher has it."""
    expect: str
    """``applied``, or the reason of its rejection."""
    story: str
    body: str


def messages(path: Path = FILE) -> list[Message]:
    """The messages of a file, in the order in which they are published."""
    with path.open(encoding="utf-8") as file:
        return [Message(**json.loads(line)) for line in file]


def written() -> list[Message]:
    """What the file holds. The last ones are copies of earlier ones, with the same ids."""
    first = _mixed(
        _campaign(SALES, range(101, 109), "Policy renewal, wave {}", waves=10),
        _campaign(NOTIFY, range(201, 205), "Parcel delivery, wave {}", waves=8),
        _campaign(CARE, range(1001, 1101), "Appointment reminder", waves=1),
        _campaign(NOTIFY, range(2001, 2091), "Pick-up notice", waves=1),
        _in_trouble(),
        _refused(),
        _malformed(),
        _invalid(),
        _of_nobody(),
    )
    return first + [each for each in first if each.key == CARE and each.expect == "applied"][:8]


def _mixed(*parts: Iterator[Message]) -> list[Message]:
    """All of them side by side, each part in its own order."""
    placed = []
    for part in map(list, parts):
        placed += [((place + 0.5) / len(part), each) for place, each in enumerate(part)]
    return [each for _, each in sorted(placed, key=lambda one: one[0])]


def _campaign(app_id: str, jobs: Sequence[int], name: str, *, waves: int) -> Iterator[Message]:
    """Edits of some jobs, each job several times over: the last one has to win."""
    for wave in range(1, waves + 1):
        for job in jobs:
            story = f"edit {wave} of {waves} of its job" if waves > 1 else "an edit"
            yield _message(f"{job}-{wave}", app_id, "applied", story, name=name.format(wave))


def _in_trouble() -> Iterator[Message]:
    trouble = {
        UNAVAILABLE: "the API answers 503 twice",
        SYSTEM_ERROR: "the API answers -5 once",
        CUT_OFF: "the connection is cut once",
    }
    for job, story in trouble.items():
        yield _message(f"{job}-1", SALES, "applied", f"{story}, then takes it")
    yield _message(f"{HOPELESS}-1", SALES, "exhausted", "the API answers 500 every time")


def _refused() -> Iterator[Message]:
    for job in TAKEN:
        yield _message(f"{job}-1", SALES, "api_rejected", "its name is taken (-33)")
    story = "more robots than the account has (-52)"
    yield _message("331-1", SALES, "api_rejected", story, robotCount=MAX_ROBOTS + 30)


def _malformed() -> Iterator[Message]:
    whole = _body(401)
    bodies = {
        "": "an empty body",
        whole[:60]: "an edit cut in two",
        f"[{whole}]": "a list around the edit",
        whole.replace("{", '{"jobId": 1, ', 1): "a key twice",
        whole.replace("8663", "NaN"): "NaN, which is not JSON",
        whole.replace("{", '{"x": ' + "[" * 40 + "]" * 40 + ", ", 1): "nested 40 deep",
    }
    for number, (body, story) in enumerate(bodies.items(), start=1):
        yield Message(f"malformed-{number}", SALES, "malformed", story, body)


def _invalid() -> Iterator[Message]:
    wrong: tuple[tuple[str, dict[str, Any]], ...] = (
        ("a field that is misspelt", {"redialTime": 2}),
        ("text where a number belongs", {"robotCount": "5"}),
        ("more redials than the API takes", {"redialTimes": 4}),
        ("calls before nine", {"dailyStartDateTime": "08:00"}),
        ("AUTO without a start", {"mode": "AUTO"}),
        ("a day that does not exist", {"endDateTime": "2026-02-30 10:00:00"}),
        ("a field that is missing", {"dialogFlowId": None}),
        ("an appId that no account has", {"appId": "initech"}),
    )
    for number, (story, fields) in enumerate(wrong, start=1):
        yield _message(f"{410 + number}-1", SALES, "invalid", story, **fields)


def _of_nobody() -> Iterator[Message]:
    for job in (501, 502, 503):
        yield _message(f"{job}-1", "initech", "unknown_app", "no account has this appId")


def _message(ident: str, key: str, expect: str, story: str, **fields: Any) -> Message:  # noqa: ANN401
    job = int(ident.partition("-")[0])
    return Message(ident, key, expect, story, _body(job, **{"appId": key, **fields}))


def _body(job: int, **fields: Any) -> str:  # noqa: ANN401 - any field of an edit
    edit = {
        "appId": SALES,
        "jobId": job,
        "name": f"Campaign {job}",
        "dialogFlowId": 8663,
        "mode": "MANUAL",
        "dailyStartDateTime": "09:30",
        "dailyEndDateTime": "18:00",
        "robotCount": 5,
        "jobPhoneNumberId": 2959,
        "redial": False,
    } | fields
    return json.dumps({name: value for name, value in edit.items() if value is not None})


if __name__ == "__main__":
    for message in written():
        print(json.dumps(asdict(message), ensure_ascii=False))
