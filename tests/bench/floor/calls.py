"""The API called and nothing else: `python -m tests.bench.floor.calls URL CALLS THREADS`.

By our client and by the stock adapter of requests, in turn; prints microseconds of CPU a call
for each as JSON. Run from the environment in which the worker ships.
"""

from __future__ import annotations

import json
import sys

from tests.bench.adapter import contestants, cost

NAMES = {"own client": "own", "stock adapter": "stock"}


def main() -> None:
    """The process."""
    url, calls, threads = sys.argv[1:]
    each = contestants(url, None)
    found = {short: cost(each[name], int(calls), int(threads))[0] for name, short in NAMES.items()}
    print(json.dumps(found))  # noqa: T201 (its result)


if __name__ == "__main__":
    main()
