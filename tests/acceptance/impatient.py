"""`taskedit run` that thinks the journal slow after a second, and gives up after three.

`python -m tests.acceptance.impatient run`
"""

from __future__ import annotations

from worker.amqp import journal
from worker.cli import main

if __name__ == "__main__":
    for name in ("READ_WITHIN", "STALLS_AFTER"):
        setattr(journal, name, 1.0)
    journal.GIVE_UP_AFTER = 3.0
    main()
