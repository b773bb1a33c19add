"""The backfill: puts every key of the table into copy's queue, a step at a time; one lane does it.

The triggers were there before it began, so a row that is written meanwhile is in the queue by itself.
"""

from functions.copy.queue import ChangeQueue
from functions.copy.state import CopyRecord, Records
from functions.domain import mapping, names
from functions.legacy.table import LegacyStore

LANE = 0
STEP = 500  # keys in one answer; of 255 bytes each, written as JSON, they stay under the Data API's 1 MiB
STEPS = names.LANES  # in a round: the lane that fills the queue does its own share of it meanwhile


class Backfill:
    """The backfill of one entity.

    Args:
        store: its rows.
        queue: where the keys go.
        records: where its position is stored.
    """

    def __init__(self, store: LegacyStore, queue: ChangeQueue, records: Records) -> None:
        self._store = store
        self._queue = queue
        self._records = records

    def advance(self, copy: CopyRecord) -> int:
        """Enqueue some keys while the queue is short; returns how many.

        The position is stored only after its keys are in the queue: killed in between, they are enqueued twice.
        """
        room = 0 if copy.backfilled else copy.bound - self._queue.length(copy.bound)
        position, done = copy.position, 0
        for _ in range(STEPS):
            if room <= done:
                break
            keys, following = self._store.keys(STEP, position)
            # Keys that no item can have are left out, as the triggers do; preflight and verify report them.
            self._queue.enqueue([key for key in keys if mapping.usable_key(key)], backfill=True)
            self._records.checkpoint(copy, following, len(keys))
            position, done = following, done + len(keys)
            if not following:
                break
        return done
