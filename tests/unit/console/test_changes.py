from __future__ import annotations

import asyncio

from worker.console.changes import Changes


def test_whoever_waits_hears_of_every_part_that_changed_meanwhile() -> None:
    async def work() -> None:
        changes = Changes()
        changes.touch("dead")
        followed = changes.follow()
        coming = asyncio.ensure_future(anext(followed))
        await asyncio.sleep(0)
        changes.touch("fleet")
        changes.touch("fleet", "events")
        assert await coming == {"fleet", "events"}
        changes.touch("operations")
        assert await anext(followed) == {"operations"}

    asyncio.run(work())
