"""Brings modern's changes to Aurora by legacy's own write function, so that its validation and side effects run.

Only while the fence is up: before and after, legacy's writers and this bridge would be one and the same to Aurora, and
`functions.bridge.apply` writes the rows itself (docs/adr/0032). Every change is replayed, in the order of its key:

1. A permit of the key lets the function's writes pass the fence. Its sequence becomes the row's, in the function's own
   transaction.
2. The function is called: `create` without a row, else `update`, or `delete`.
3. One transaction locks the permit, compares the row with the record, writes what the function cannot know or what it
   left as it was, and removes the permit. So a change is done when the row has its sequence and no permit is left.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from functions.aws import json_rows
from functions.aws.data_api import DataApi, cell_text
from functions.aws.mysql_errors import BlockedError, DataApiError, TransientError
from functions.bridge.apply import Applier, BatchOutcome, QuarantineSink, misfit
from functions.bridge.exchange import ReadItems
from functions.bridge.kept_columns import keeping
from functions.bridge.legacy_calls import MOST_CALLS, Ending, LegacyCalls, Reply
from functions.bridge.ownership import Authority
from functions.bridge.permits import Owner, Permit, Permits
from functions.bridge.rows import Rows
from functions.bridge.statements import ITEM, Present, Statements
from functions.domain import changes, mapping, names
from functions.domain.changes import Change, ChangeKind
from functions.domain.entities import Entity
from functions.domain.errors import UnmappableError
from functions.domain.mapping import Record
from functions.domain.masking import without_masked
from functions.legacy.table import LegacyStore

OF_A_ROW = frozenset({ChangeKind.UPSERT, ChangeKind.DELETE})
MARGIN_SECONDS = 10  # that a permit counts beyond the end of any call that it is for
LOOK_SECONDS = 0.2  # between two looks at another invocation's permit
ATTEMPTS = 2  # at a call whose row is not as the record afterwards: somebody else may have written in between
CLOSINGS = 3  # tries to close permits in a transaction that lost a lock
NOT_SENT = Reply(Ending.BUSY, "the invocation's time is over")


@dataclass(frozen=True)
class Claim:
    """A change whose permit is ours.

    Attributes:
        again: its permit was there before: the function may have been called, and its success was not noted.
    """

    change: Change
    again: bool


@dataclass
class Closing:
    """What becomes of claims once their calls have ended: by key, and why not."""

    done: list[Change] = field(default_factory=list[Change])
    incomplete: list[Change] = field(default_factory=list[Change])
    refused: dict[str, str] = field(default_factory=dict[str, str])
    differing: dict[str, str] = field(default_factory=dict[str, str])
    failed: dict[str, Reply] = field(default_factory=dict[str, Reply])


class FunctionApplier:
    """Replays the changes of one entity.

    Args:
        database: the Data API as the bridge's user, on the entity's database.
        quarantine: where a change goes that legacy's function refuses.
        stream: the ARN that the changes' sequences belong to.
        read: the items of some keys.
        calls: legacy's function.
        seconds_left: until this process ends.
        owner: of the permits; where it is not given, of this applier's alone.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # those of an applier, and how to call
        self,
        entity: Entity,
        database: DataApi,
        quarantine: QuarantineSink,
        stream: str,
        read: ReadItems,
        calls: LegacyCalls,
        seconds_left: Callable[[], float],
        owner: Owner | None = None,
    ) -> None:
        self._entity = entity
        self._database = database
        self._quarantine = quarantine
        self._calls = calls
        self._seconds_left = seconds_left
        self._direct = Applier(entity, database, quarantine, stream, read)
        self._permits = Permits(entity, database, stream)
        self._sql = Statements(entity, stream)
        self._process = owner or Owner()
        self._owner = self._process.name
        self._failed: dict[str, DataApiError] = {}

    def apply(self, found: Sequence[Change], authority: Authority) -> BatchOutcome:
        """Replay changes, each in its turn, while the fence is up.

        Raises:
            TransientError: the database or the function is not there now; apply the same changes again.
            DataApiError: a call failed for an unknown reason, after all others were made.
        """
        outcome, self._failed = BatchOutcome(), {}
        beats = [change for change in found if change.kind == ChangeKind.HEARTBEAT]
        outcome.add(self._direct.apply(beats, authority))
        self._permits.demand_triggers()
        for some in changes.in_rounds([change for change in found if change.kind in OF_A_ROW]):
            self._round([change for change in some if change.key not in self._failed], authority, outcome)
        last = {change.key: change for change in found if change.kind not in {*OF_A_ROW, ChangeKind.HEARTBEAT}}
        outcome.add(self._direct.apply(list(last.values()), authority))
        if self._failed:
            raise _first(list(self._failed.values()))
        return outcome

    def give_up(self, change: Change, reason: str, code: int) -> BatchOutcome:
        """Quarantine a change that failed too often, unless a newer one of its key has been applied meanwhile."""
        return self._direct.give_up(change, reason, code)

    def _round(self, some: Sequence[Change], authority: Authority, outcome: BatchOutcome) -> None:
        """Replay changes of different keys."""
        misfits = [change for change in some if misfit(self._entity, change)]
        outcome.add(self._direct.apply(misfits, authority))
        left = [change for change in some if change not in misfits and authority.applies(change.created)]
        outcome.disconnected += len(some) - len(misfits) - len(left)
        self._keep_tombstones([change for change in left if change.kind == ChangeKind.DELETE])
        while left:
            claims, waiting = self._claim(left, outcome)
            if claims:
                self._replay(claims, outcome)
            elif waiting:
                self._wait(waiting)
            left = [change for change in waiting if change.key not in self._failed]

    def _keep_tombstones(self, deletes: Sequence[Change]) -> None:
        ordered = sorted(deletes, key=lambda change: change.key)
        rows = [self._sql.cells(change) for change in ordered]
        for run in json_rows.runs(rows):
            self._database.execute(self._sql.keep_tombstone, self._sql.taking([rows[i] for i in run]))
        if deletes:
            self._database.execute(self._sql.expire_tombstones)

    def _claim(self, some: Sequence[Change], outcome: BatchOutcome) -> tuple[list[Claim], list[Change]]:
        """Open permits; returns those claimed, and the changes that another invocation is at."""
        keys = [change.key for change in some]
        before = self._permits.of(keys)
        left = [change for change, done in self._with_done(some, before) if not done]
        wanted = [change for change in left if not self._is_anothers(before.get(change.key))]
        opened: set[str] = set()
        if wanted:
            opened = self._permits.open(wanted, self._owner, self._permit_seconds)
        # Once more: another invocation may have done it in between.
        claimed = [change for change in wanted if change.key in opened]
        over = [change for change, done in self._with_done(claimed, before) if done]
        self._permits.close(self._database, [change.key for change in over], self._owner)
        outcome.stale += len(some) - len(left) + len(over)
        claims = [
            Claim(change, again=_is_of(before.get(change.key), change)) for change in claimed if change not in over
        ]
        return claims, [change for change in left if change.key not in opened]

    def _is_anothers(self, permit: Permit | None) -> bool:
        """Whether another invocation may be at a permit's change."""
        return permit is not None and _counts(permit) and permit.owner != self._owner

    @property
    def _permit_seconds(self) -> float:
        """Until no call can run that this process has made: it makes none after its end."""
        return self._seconds_left() + self._calls.timeout + MARGIN_SECONDS

    def _with_done(self, some: Sequence[Change], before: dict[str, Permit]) -> list[tuple[Change, bool]]:
        keys = [change.key for change in some]
        rows, tombstones = self._present(self._database, keys), self._tombstones(self._database, keys)
        return [
            (change, _is_done(change, rows.get(change.key), tombstones.get(change.key, -1), before.get(change.key)))
            for change in some
        ]

    def _present(self, database: DataApi, keys: Sequence[str]) -> dict[str, Present]:
        return Rows(database, self._sql).present(keys)

    def _tombstones(self, database: DataApi, keys: Sequence[str]) -> dict[str, int]:
        if not keys:
            return {}
        sql = (
            f"SELECT d.item_key, d.sequence FROM {json_rows.source(['item_key'])} "  # noqa: S608  # names of ours
            f"STRAIGHT_JOIN {names.DELETES_TABLE} d ON d.entity = :entity AND d.item_key = {ITEM}"
        )
        rows = database.query(sql, {**json_rows.parameter([[key] for key in keys]), **self._sql.entity_value})
        return {cell_text(key): int(cell_text(sequence)) for key, sequence in rows}

    def _wait(self, waiting: Sequence[Change]) -> None:
        """Wait for another invocation; what it does not end in time fails for now."""
        time.sleep(LOOK_SECONDS)
        if self._time_is_over:
            held = TransientError("another invocation replays the key; the batch is delivered again")
            self._failed |= dict.fromkeys([change.key for change in waiting], held)

    @property
    def _time_is_over(self) -> bool:
        """Whether a call that begins now could run longer than this process."""
        return self._seconds_left() < self._calls.timeout + MARGIN_SECONDS

    def _replay(self, claims: Sequence[Claim], outcome: BatchOutcome) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            replies = self._send(claims)
            closing = self._closed(claims, replies)
            if attempt == ATTEMPTS:
                closing.refused |= closing.differing
            self._note(claims, closing, outcome)
            claims = [Claim(each.change, again=True) for each in claims if each.change.key in closing.differing]
            if not claims:
                return

    def _send(self, claims: Sequence[Claim]) -> dict[str, Reply]:
        rows = self._present(self._database, [each.change.key for each in claims])
        self._free([each.change for each in claims if each.change.key not in rows])
        with ThreadPoolExecutor(min(MOST_CALLS, len(claims))) as pool:
            replies = list(pool.map(self._call, claims, [each.change.key in rows for each in claims]))
        if any(reply.ending == Ending.LOST for reply in replies):
            self._process.renew()
        return {each.change.key: reply for each, reply in zip(claims, replies, strict=True)}

    def _call(self, claim: Claim, present: bool) -> Reply:
        change = claim.change
        if self._time_is_over:
            return NOT_SENT
        if change.record is None:
            return self._calls.send("delete", {"id": change.key}) if present or claim.again else Reply(Ending.DONE)
        values = mapping.body_from_record(self._entity, change.record)
        return self._calls.send("update" if present else "create", values)

    def _free(self, new: Sequence[Change]) -> None:
        """Free the item keys of rows that legacy has moved to another key since: the new rows are to have them."""
        if not new:
            return
        rows = self._sql.moved([change.key for change in new])
        for key in [cell_text(row[0]) for row in self._database.query(*rows)]:
            sql = self._sql.free_key(keeping(self._database, self._entity))
            self._database.execute(sql, {"item": {"stringValue": key}})

    def _closed(self, claims: Sequence[Claim], replies: dict[str, Reply]) -> Closing:
        """Close the permits of what is done, in one transaction with the look at its rows."""
        for attempt in range(1, CLOSINGS + 1):
            try:
                with self._database.transaction() as inside:
                    return self._close(inside, claims, replies)
            except TransientError:
                if attempt == CLOSINGS:
                    raise
        raise AssertionError  # the last attempt returns or raises

    def _close(self, inside: DataApi, claims: Sequence[Claim], replies: dict[str, Reply]) -> Closing:
        keys = [each.change.key for each in claims]
        ours = self._permits.lock(inside, keys, self._owner)
        rows, records = self._present(inside, keys), self._records(inside, keys)
        gone = self._tombstones(inside, [key for key in keys if key not in rows])
        closing = Closing()
        for each in claims:
            change, reply = each.change, replies[each.change.key]
            if change.key not in ours:
                reply = Reply(Ending.BUSY, "another invocation has taken the key over")
            if _is_superseded(change, rows.get(change.key), gone.get(change.key, -1)):
                closing.done.append(change)
            else:
                self._sort(change, reply, rows.get(change.key), records.get(change.key), closing)
        self._complete(inside, closing.incomplete, rows)
        self._permits.close(inside, [change.key for change in closing.done], self._owner)
        return closing

    def _records(self, inside: DataApi, keys: Sequence[str]) -> dict[str, Record | UnmappableError]:
        store = LegacyStore(self._entity, inside)
        try:
            return {**store.many(keys)}
        except UnmappableError as error:
            if len(keys) == 1:
                return {keys[0]: error}
            half = len(keys) // 2
            return self._records(inside, keys[:half]) | self._records(inside, keys[half:])

    def _sort(
        self, change: Change, reply: Reply, row: Present | None, found: Record | UnmappableError | None, to: Closing
    ) -> None:
        """Decide what has become of a change whose call has ended."""
        deleted = change.record is None and row is None
        if reply.ending == Ending.REFUSED and not deleted:
            to.refused[change.key] = reply.problem
        elif reply.ending not in {Ending.DONE, Ending.REFUSED}:
            to.failed[change.key] = reply
        elif deleted:
            to.done.append(change)
        elif problem := self._difference(change, found):
            to.differing[change.key] = problem
        else:
            to.done.append(change)
            if row and (row.sequence < change.sequence or found != change.record):
                to.incomplete.append(change)

    def _difference(self, change: Change, found: Record | UnmappableError | None) -> str:
        """What legacy's function has left otherwise than the record says, though it answered with success."""
        says = f"{self._calls.function} answered with success, but"
        if change.record is None:
            return f"{says} the row is still there"
        if found is None:
            return f"{says} there is no row"
        if isinstance(found, UnmappableError):
            return f"{says} the row does not fit: {found}"
        carried = self._calls.contract.calls["create"].carried | self._calls.contract.calls["update"].carried
        wanted = change.record.fields
        wrong = [name for name in wanted if name in carried and found.fields[name] != wanted[name]]
        return f"{says} these fields are not the item's: {', '.join(wrong)}" if wrong else ""

    def _complete(self, inside: DataApi, some: Sequence[Change], rows: dict[str, Present]) -> None:
        """Write the fields that no call carries, and the sequence where the function found nothing to change."""
        if some:
            sent = [self._sql.cells(change, rows[change.key].primary_key) for change in some]
            collation = rows[some[0].key].collation
            for run in json_rows.runs(sent):
                inside.execute(self._sql.complete(collation), self._sql.taking([sent[i] for i in run]))

    def _note(self, claims: Sequence[Claim], closing: Closing, outcome: BatchOutcome) -> None:
        """Count, quarantine what was refused, and let the permits of what failed count no longer than needed."""
        deletes = sum(change.kind == ChangeKind.DELETE for change in closing.done)
        outcome.deletes += deletes
        outcome.upserts += len(closing.done) - deletes
        for each in claims:
            if reason := closing.refused.get(each.change.key):
                self._quarantine.put(self._entity, each.change, reason)
                outcome.quarantined += 1
        self._permits.close(self._database, list(closing.refused), self._owner)
        lost = [key for key, reply in closing.failed.items() if reply.ending == Ending.LOST]
        ended = [key for key in closing.failed if key not in lost]
        self._permits.release(self._database, ended, self._owner, 0)
        self._permits.release(self._database, lost, self._owner, self._calls.timeout + MARGIN_SECONDS)
        self._failed |= {key: self._error(reply) for key, reply in closing.failed.items()}

    def _error(self, reply: Reply) -> DataApiError:
        """What is raised, and so logged: an answer may quote values."""
        problem = without_masked(self._entity, reply.problem)
        if reply.ending == Ending.BLOCKED:
            return BlockedError(problem)
        return TransientError(problem) if reply.ending == Ending.BUSY else DataApiError(problem)


def until_after(seconds: float) -> Callable[[], float]:
    """How many seconds are left of these, for a process that nothing ends."""
    ends = time.monotonic() + seconds
    return lambda: ends - time.monotonic()


def _counts(permit: Permit) -> bool:
    return permit.seconds > 0


def _is_of(permit: Permit | None, change: Change) -> bool:
    return permit is not None and permit.sequence == change.sequence


def _is_done(change: Change, row: Present | None, tombstone: int, permit: Permit | None) -> bool:
    """Whether nothing is left to do: a newer change is there or under way, or this one's success was noted."""
    if _is_superseded(change, row, tombstone):
        return True
    if permit and permit.sequence >= change.sequence:
        return permit.sequence > change.sequence and _counts(permit)
    if change.kind == ChangeKind.DELETE:
        return row is None
    return max(tombstone, -1 if row is None else row.sequence) >= change.sequence


def _is_superseded(change: Change, row: Present | None, tombstone: int) -> bool:
    """Whether Aurora has a newer change of the key: what a call for this one may still write, the triggers refuse."""
    return tombstone > change.sequence if row is None else row.sequence > change.sequence


def _first(errors: Sequence[DataApiError]) -> DataApiError:
    """The error to raise: one that an operator must cure, then one that time cures, then any."""
    for kind in (BlockedError, TransientError):
        for error in errors:
            if isinstance(error, kind):
                return error
    return errors[0]
