"""What running workers say of each account: by their heartbeats, or at the ops address."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any, Final

from worker.amqp.session import SessionError
from worker.cli.lanes import heard

if TYPE_CHECKING:
    from worker.amqp.session import Session

PATIENCE: Final = 2.0
"""Seconds; it answers at once or not at all."""
_LARGEST: Final = 16 * 1024 * 1024
_ANYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (asked, not listened on)


Lane = dict[str, Any]
"""What is told of an account: its `state`, and perhaps `why`, `api_status`, `since` …"""


def lanes(address: tuple[str, int]) -> dict[str, Lane] | None:
    """What `/lanes` tells of each account; None when no worker answers at that address."""
    host, port = address
    connection = HTTPConnection(_ANYWHERE.get(host, host), port, timeout=PATIENCE)
    with closing(connection):
        try:
            connection.request("GET", "/lanes")
            found = json.loads(connection.getresponse().read(_LARGEST))
        except (OSError, HTTPException, ValueError):
            return None
    is_lanes = isinstance(found, dict) and all(
        isinstance(lane, dict) and "state" in lane for lane in found.values()
    )
    return found if is_lanes else None


async def fleet_lanes(session: Session) -> dict[str, Lane]:
    """What the workers' heartbeats tell of each account; of none where nobody can hear them."""
    try:
        _, fleet = await heard(session)
    except SessionError:
        return {}
    now = asyncio.get_running_loop().time()
    said = {account: fleet.of(account, now) for account in fleet.accounts}
    return {account: lanes[0][1].model_dump(mode="json") for account, lanes in said.items()}


def stopped(lane: Lane) -> str | None:
    """Why a lane sends nothing, as the rest of a sentence; None when it runs."""
    if lane["state"] == "running":
        return None
    status = f" ({lane['api_status']})" if lane.get("api_status") else ""
    why = f": {lane['why']}{status}" if lane.get("why") else ""
    since = f" since {lane['since']}" if lane.get("since") else ""
    return f"is {lane['state']}{since}{why}"
