"""What the journal keeps of the last full comparison: the checks read it, and later comparisons start from it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from functions.domain import names
from runbook.journal.journal import Journal
from runbook.journal.state import now

WHOLE = 1.0


def last(journal: Journal, entity: str) -> Mapping[str, Any] | None:
    """The last whole comparison, however it ended; None when there was none."""
    return journal.find_record(entity, names.VERIFIED_RECORD)


def began(record: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(record["started_at"])


def of_streams(record: Mapping[str, Any] | None, streams: int) -> bool:
    """Whether a comparison began when as many new streams had been adopted as now.

    No clocks are compared: the operators' may differ.
    """
    return record is not None and int(record.get("streams", 0)) == streams


def proves(record: Mapping[str, Any] | None, streams: int) -> bool:
    """Whether it was clean, whole, and began after the last adoption of a stream."""
    whole = record is not None and bool(record["clean"]) and float(record["sample"]) == WHOLE
    return whole and of_streams(record, streams)


def base(record: Mapping[str, Any] | None, since: datetime, streams: int) -> str:
    """The moment of the clean whole comparison that one of the changes since `since` goes on from; empty for none."""
    if record is None or not proves(record, streams) or began(record) < since:
        return ""
    return str(record["started_at"])


def note(  # noqa: PLR0913  # the record's attributes
    journal: Journal,
    entity: str,
    *,
    started_at: str,
    sample: float,
    compared: int,
    differences: int,
    streams: int,
    empty: bool = False,
) -> None:
    """Keep a comparison of everything. A clean sample proves nothing and is not kept; a later one stays.

    Args:
        streams: how many new streams had been adopted when it began.
        empty: nothing was compared because both sides are empty, which was not allowed.
    """
    record = last(journal, entity)
    later = record and (int(record.get("streams", 0)), record["started_at"]) > (streams, started_at)
    if (sample < WHOLE and not differences) or later:
        return
    values: dict[str, Any] = {"started_at": started_at, "ended_at": now(), "clean": not (differences or empty)}
    counts = {"empty": empty, "sample": sample, "compared": compared, "differences": differences, "streams": streams}
    journal.put_record(entity, names.VERIFIED_RECORD, values | counts)


def go_on(journal: Journal, entity: str, *, base: str, started_at: str, differences: int) -> bool:
    """Keep a comparison of what changed since the clean whole one that began at `base`; False when that is gone.

    Without differences both together are as good as a whole one that began at `started_at`.
    """
    changes: dict[str, Any] = {"ended_at": now(), "clean": not differences, "differences": differences}
    if not differences:
        changes["started_at"] = started_at
    return journal.change_record(entity, names.VERIFIED_RECORD, changes, {"started_at": base})
