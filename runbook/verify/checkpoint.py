"""How far a comparison of everything has come, in the journal, so that one that was killed is gone on with."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from runbook.aws.outputs import EntityTarget
from runbook.journal.journal import now
from runbook.journal.lock import LEASE, is_dead, this_process
from runbook.stack import Context
from runbook.verify.full import Progress

RECORD = "verifying"  # of the entity in the journal
KEPT = timedelta(hours=6)  # since it began; `cutover writes` wants one that began within twelve
ROOM = 300_000  # bytes for the keys of what differed; an item of DynamoDB has 400 KB


class Checkpoint:
    """The notes of one comparison.

    Args:
        context: of the stack.
        entity: whose records.
        segments: parts of the table that are read at once.
        sample: the share of the records that is compared.

    Attributes:
        started_at: when it began; when the first of its runs began, if it goes on from another.
    """

    def __init__(self, context: Context, entity: EntityTarget, segments: int, sample: float) -> None:
        self._journal = context.journal
        self._entity = entity.name
        described = repr(context.target.mapping[entity.name])
        # What must be the same for another run to go on: how the work is cut, what is compared, and with what.
        self._terms = {
            "segments": segments,
            "sample": f"{sample:g}",
            "stream": entity.stream_arn,
            "mapping": hashlib.sha256(described.encode()).hexdigest(),
        }
        self.started_at = now()

    def begin(self, *, anew: bool) -> Progress:
        """Where to begin: where another run was interrupted, unless it began too long ago or with other options."""
        found = None if anew else self._journal.find_record(self._entity, RECORD)
        if not found or not self._fits(found):
            return Progress(places=[""] * int(self._terms["segments"]))
        self.started_at = str(found["started_at"])
        return Progress(resumed=True, **found["progress"])

    def _fits(self, found: Mapping[str, Any]) -> bool:
        if found["terms"] != self._terms or not found.get("progress"):
            return False
        present = datetime.now(UTC)
        saved, began = (datetime.fromisoformat(found[name]) for name in ("saved_at", "started_at"))
        ended = not found["process"] or is_dead(found["process"]) or present - saved > timedelta(seconds=LEASE)
        return ended and present - began < KEPT

    def save(self, progress: Progress, process: str | None = None) -> None:
        """Note how far it has come. Where too much differed for a note, the last one stays.

        Args:
            progress: as it is now.
            process: that goes on with it, this one by default; empty for none.
        """
        if sum(len(key.encode()) for key in progress.suspects) > ROOM:
            return
        process = this_process() if process is None else process
        kept = {name: value for name, value in vars(progress).items() if name != "resumed"}
        values = {"started_at": self.started_at, "saved_at": now(), "process": process, "terms": self._terms}
        self._journal.put_record(self._entity, RECORD, {**values, "progress": kept})

    @contextmanager
    def left_behind(self, progress: Progress) -> Generator[None]:
        """After the block nothing is left to go on with; if it was interrupted, what it did is."""
        try:
            yield
        except BaseException:
            with suppress(BotoCoreError, ClientError):  # why: what went wrong first is what to tell
                self.save(progress, "")
            raise
        if self._journal.find_record(self._entity, RECORD):
            self._journal.put_record(self._entity, RECORD, {"terms": {}})
