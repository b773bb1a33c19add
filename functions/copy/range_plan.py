"""Divides a table into ranges of primary keys, and its items into segments, before the ranges are copied.

Numbers are divided by value, which needs no reading: a range with gaps has fewer rows. Texts have no middle that every
collation agrees on, so the plan follows the primary key and counts, which reads it once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from functions.aws.data_api import DataApi, cell_text
from functions.copy.ranges import AT_ONCE, COPY, PLAN, CopyRange, RangeRecords
from functions.copy.state import CopyRecord
from functions.domain.entities import Entity
from functions.legacy.table import LegacyStore

MOST = 5_000  # ranges: their numbers are one state of Step Functions, which takes 256 KiB


class RangePlan:
    """Plans the ranges of one entity.

    Args:
        database: the Data API, on the entity's database.
    """

    def __init__(self, entity: Entity, database: DataApi, ranges: RangeRecords) -> None:
        self._entity = entity
        self._database = database
        self._ranges = ranges
        self._store = LegacyStore(entity, database)

    def advance(self, copy: CopyRecord) -> bool:
        """Plan some ranges and store them; False when the run is another's by now."""
        end = copy.range_end or self._last()
        made = [*(_segments(copy) if not copy.ranges else []), *self._some(copy, end)]
        numbered = [replace(each, number=copy.ranges + place) for place, each in enumerate(made)]
        reached = next((each.until for each in reversed(numbered) if not each.segments), copy.planned_to)
        return self._ranges.add(copy, numbered, end, COPY if reached == end else PLAN)

    def _some(self, copy: CopyRecord, end: str) -> list[CopyRange]:
        """The next ranges, as many as one transaction takes beside the segments."""
        if not end:
            return []
        find = self._by_count if self._entity.legacy.key_type == "string" else self._by_value
        room = AT_ONCE - (copy.workers if copy.leftovers and not copy.ranges else 0)
        found, after = list[CopyRange](), copy.planned_to
        for until in find(copy, end):
            found.append(CopyRange(number=0, after=after, until=until))
            after = until
            if len(found) == room:
                break
        return found

    def _by_value(self, copy: CopyRecord, end: str) -> Iterator[str]:
        """The rest in equal parts. The first row is looked up once, since legacy may delete every row meanwhile."""
        high = int(end)
        start = int(copy.planned_to) if copy.planned_to else min(int(self._edge("MIN") or end), high) - 1
        width = -(-(high - start) // max(1, _count(copy) - copy.ranges))
        while start < high:
            start = min(high, start + width)
            yield str(start)

    def _by_count(self, copy: CopyRecord, end: str) -> Iterator[str]:
        after = copy.planned_to
        rows = max(copy.range_rows, -(-copy.total // MOST))
        while after != end:
            after = self._ahead(after, end, rows) or end
            yield after

    def _ahead(self, after: str, end: str, rows: int) -> str:
        """The primary key so many rows behind `after`; empty where there are fewer until the end."""
        key = f"`{self._entity.legacy.key}`"
        sql = (
            f"SELECT {key} FROM `{self._entity.legacy.table}` WHERE {key} <= :until"  # noqa: S608  # checked names
            f"{f' AND {key} > :after' if after else ''} ORDER BY {key} LIMIT 1 OFFSET {rows - 1}"
        )
        found = self._database.query(sql, self._store.bounds(after, end))
        return cell_text(found[0][0]) if found else ""

    def _last(self) -> str:
        return self._edge("MAX")

    def _edge(self, function: str) -> str:
        """The first or last primary key; empty where there is no row."""
        legacy = self._entity.legacy
        found = self._database.query(f"SELECT {function}(`{legacy.key}`) FROM `{legacy.table}`")  # noqa: S608  # checked names
        return "" if found[0][0].get("isNull") else cell_text(found[0][0])


def _count(copy: CopyRecord) -> int:
    return min(MOST, max(1, -(-copy.total // copy.range_rows)))


def _segments(copy: CopyRecord) -> list[CopyRange]:
    """One for each worker, if there are items of an earlier copy."""
    segments = copy.workers if copy.leftovers else 0
    return [CopyRange(number=0, segment=number, segments=segments) for number in range(segments)]
