"""How far a full comparison has come, in the journal, so that the same command resumes an interrupted one."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from runbook.aws.outputs import EntityTarget
from runbook.journal.lock import LEASE, is_dead, this_process
from runbook.journal.state import now
from runbook.stack import Context

RECORD = "verifying"  # of the entity in the journal
KEPT = timedelta(hours=6)  # since it began; `cutover writes` requires one that began within twelve
SUSPECT_BYTES = 300_000  # for the keys that differed; an item of DynamoDB has 400 KB


@dataclass(kw_only=True)
class VerifyProgress:
    """How far a full comparison has come.

    Attributes:
        places: for each segment the key to continue after, None when it is done.
        items: how many were read.
        compared: how many of them were compared.
        last_row: the primary key to continue after with the rows' keys, None when that is done.
        rows: how many there were so far.
        suspects: keys that differed when they were read.
        resumed: whether another run read a part, so that its items' keys are not known any more.
    """

    places: list[str | None]
    items: int = 0
    compared: int = 0
    last_row: str | None = ""
    rows: int = 0
    suspects: list[str] = field(default_factory=list[str])
    resumed: bool = False

    @property
    def done(self) -> bool:
        return self.last_row is None


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What must be the same for another run to resume: how the work is cut, what is compared, and with what."""

    segments: int
    sample: str
    stream: str
    streams: int
    mapping: str


@dataclass(frozen=True, kw_only=True)
class Saved:
    """What the journal keeps; `process` is the one that works on it, empty for none."""

    started_at: str
    saved_at: str
    process: str
    terms: Terms
    progress: VerifyProgress

    def written(self) -> dict[str, Any]:
        kept = {name: value for name, value in vars(self.progress).items() if name not in {"last_row", "resumed"}}
        progress = {**kept, "walked": self.progress.last_row}
        return {**vars(self), "terms": vars(self.terms), "progress": progress}

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> Saved | None:
        """None when it is of a comparison that has ended, or that another version saved."""
        if not record.get("progress") or set(record["terms"]) != {each.name for each in fields(Terms)}:
            return None
        kept = dict(record["progress"])
        progress = VerifyProgress(last_row=kept.pop("walked"), resumed=True, **kept)
        values = {name: str(record[name]) for name in ("started_at", "saved_at", "process")}
        return cls(**values, terms=Terms(**record["terms"]), progress=progress)


class Checkpoint:
    """The checkpoint of one comparison.

    Attributes:
        started_at: when it began; when the first of its runs began, if it resumes another.
        streams: how many new streams had been adopted then.
    """

    def __init__(self, context: Context, entity: EntityTarget, segments: int, sample: float) -> None:
        self._journal = context.journal
        self._entity = entity.name
        described = repr(context.target.mapping[entity.name])
        state = self._journal.find(entity.name)
        self.streams = state.streams if state else 0
        self._terms = Terms(
            segments=segments,
            sample=f"{sample:g}",
            stream=entity.stream_arn,
            streams=self.streams,
            mapping=hashlib.sha256(described.encode()).hexdigest(),
        )
        self.started_at = now()

    def begin(self, *, anew: bool) -> VerifyProgress:
        """Where to begin: where another run was interrupted, unless it began too long ago or with other options."""
        record = None if anew else self._journal.find_record(self._entity, RECORD)
        saved = Saved.read(record) if record else None
        if saved is None or not self._fits(saved):
            return VerifyProgress(places=[""] * self._terms.segments)
        self.started_at = saved.started_at
        return saved.progress

    def _fits(self, saved: Saved) -> bool:
        present = datetime.now(UTC)
        silent = present - datetime.fromisoformat(saved.saved_at) > timedelta(seconds=LEASE)
        ended = not saved.process or is_dead(saved.process) or silent
        return saved.terms == self._terms and ended and present - datetime.fromisoformat(saved.started_at) < KEPT

    def save(self, progress: VerifyProgress, process: str | None = None) -> None:
        """Save how far it has come. If too much differed for the journal, the last checkpoint stays.

        Args:
            progress: as it is now.
            process: that continues it, this one by default; empty for none.
        """
        if sum(len(key.encode()) for key in progress.suspects) > SUSPECT_BYTES:
            return
        saved = Saved(
            started_at=self.started_at,
            saved_at=now(),
            process=this_process() if process is None else process,
            terms=self._terms,
            progress=progress,
        )
        self._journal.put_record(self._entity, RECORD, saved.written())

    @contextmanager
    def kept_on_failure(self, progress: VerifyProgress) -> Generator[None]:
        """After the block nothing is left to resume; if it was interrupted, its progress is."""
        try:
            yield
        except BaseException:
            with suppress(BotoCoreError, ClientError):  # because the first error is the one to report
                self.save(progress, "")
            raise
        if self._journal.find_record(self._entity, RECORD):
            self._journal.put_record(self._entity, RECORD, {"terms": {}})
