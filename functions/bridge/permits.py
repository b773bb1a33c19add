"""Permits: the rows by which calls of legacy's own function pass the fence, one a key that is being replayed.

A permit that is there says that the success of its change is not noted yet. Until its deadline it lets writes of its
key pass, and no other invocation may replay the key. The triggers read it (`functions.install.permits`). All SQL of the
bridge on that table stands here. Deadlines are by the database's clock.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from functions.aws import json_rows
from functions.aws.data_api import DataApi, Values, cell_text
from functions.aws.mysql_errors import NO_TABLE, BlockedError, DataApiError
from functions.bridge import stream_guard
from functions.bridge.statements import ITEM, OF_ROW
from functions.domain import names
from functions.domain.changes import Change
from functions.domain.entities import Entity
from functions.legacy.table import within

TABLE = names.REPLAYS_TABLE
NOW = "UTC_TIMESTAMP(6)"
# The fence is up, and modern is the source of truth; with a shared lock, so that neither changes meanwhile.
REPLAYING = f"(SELECT c.fenced = 1 AND c.legacy_stamp = 0 FROM {names.CONTROL_TABLE} c WHERE c.entity = :entity)"  # noqa: S608


@dataclass(frozen=True)
class Permit:
    """A permit that is there, and for how many seconds it still counts; 0 or less for one that counts no more."""

    sequence: int
    seconds: float
    owner: str


@dataclass
class Owner:
    """Whose permits are of calls that have ended: one process's, which makes one invocation after the other.

    An invocation that has lost the database leaves permits behind. The next one in the same process takes them over at
    once, and another's only when they count no more.
    """

    name: str = field(default_factory=lambda: uuid.uuid4().hex)

    def renew(self) -> None:
        """Be another from the next invocation on: a call whose answer was lost may run still."""
        self.name = uuid.uuid4().hex


class Permits:
    """The permits of one entity.

    Args:
        database: the Data API as the bridge's user, on the entity's database.
        stream: whose sequences they carry; when Aurora knows another one, none is opened.
    """

    def __init__(self, entity: Entity, database: DataApi, stream: str) -> None:
        self._database = database
        self._entity = entity
        self._values: Values = {"entity": {"stringValue": entity.name}}
        self._stream: Values = {"stream": {"stringValue": stream}}
        self._places = (
            f"{json_rows.source(['item_key'])} STRAIGHT_JOIN {TABLE} p FORCE INDEX (PRIMARY) "
            f"ON p.entity = :entity AND p.item_key = {ITEM}"
        )

    def demand_triggers(self) -> None:
        """Continue only if the table's triggers look permits up.

        Raises:
            BlockedError: they do not, and would refuse what the function writes.
        """
        sql = f"SELECT 1 FROM {TABLE} WHERE entity = :entity AND item_key = ''"  # noqa: S608  # names of ours
        remedy = f"run `runbook init` and `runbook copy start --entity {self._entity.name}`"
        try:
            found = self._database.query(sql, self._values)
        except DataApiError as error:
            if error.code != NO_TABLE:
                raise
            raise BlockedError(f"Aurora is not prepared for bridge = replay: {remedy}", NO_TABLE) from error
        if not found:
            raise BlockedError(f"the triggers on {self._entity.legacy.table} know no replay: {remedy}")

    def of(self, keys: Sequence[str]) -> dict[str, Permit]:
        """The permits that some keys have."""
        left = f"TIMESTAMPDIFF(MICROSECOND, {NOW}, p.deadline)"
        sql = f"SELECT p.item_key, p.sequence, {left}, p.owner FROM {self._places}"  # noqa: S608  # names of ours
        rows = self._database.query(sql, {**json_rows.parameter([[key] for key in keys]), **self._values})
        found = [[cell_text(cell) for cell in row] for row in rows]
        return {key: Permit(int(sequence), int(us) / 1e6, owner) for key, sequence, us, owner in found}

    def longest(self) -> float:
        """For how many seconds any permit of the entity still counts; 0 for none, or where there is no such table."""
        left = f"COALESCE(MAX(TIMESTAMPDIFF(MICROSECOND, {NOW}, deadline)), 0)"
        sql = f"SELECT {left} FROM {TABLE} WHERE entity = :entity AND item_key <> ''"  # noqa: S608  # names of ours
        try:
            found = self._database.query(sql, self._values)
        except DataApiError as error:
            if error.code != NO_TABLE:
                raise
            return 0.0
        return max(0.0, int(cell_text(found[0][0])) / 1e6)

    def open(self, changes: Sequence[Change], owner: str, seconds: float) -> set[str]:
        """Open permits for changes, or take those over that count no more.

        Returns:
            The keys whose permit is the owner's now: none where another counts still, or modern is the source of truth
            no more.
        """
        ordered = sorted(changes, key=lambda change: change.key)
        rows = json_rows.parameter([[change.key, str(change.sequence)] for change in ordered])
        counts = f"{TABLE}.deadline > {NOW}"
        sql = (
            f"INSERT INTO {TABLE} (entity, item_key, sequence, owner, deadline) "  # noqa: S608  # names of ours
            f"SELECT :entity, {ITEM}, {OF_ROW}, :owner, {NOW} + INTERVAL :microseconds MICROSECOND "
            f"FROM {json_rows.source(['item_key', 'sequence'])} "
            f"WHERE {stream_guard.follows(':stream')} AND {REPLAYING} ON DUPLICATE KEY UPDATE "
            # set from left to right: the owner first, which decides the others
            f"owner = IF({counts}, {TABLE}.owner, VALUES(owner)), "
            f"sequence = IF({TABLE}.owner = VALUES(owner), VALUES(sequence), {TABLE}.sequence), "
            f"deadline = IF({TABLE}.owner = VALUES(owner), VALUES(deadline), {TABLE}.deadline)"
        )
        given = {"owner": {"stringValue": owner}, "microseconds": {"longValue": int(seconds * 1e6)}}
        self._database.execute(sql, {**rows, **self._values, **self._stream, **given})
        return self._owned([change.key for change in ordered], owner)

    def lock(self, inside: DataApi, keys: Sequence[str], owner: str) -> set[str]:
        """Lock permits in a transaction: what they let in has ended, and nothing is let in until it ends."""
        # why no JSON_TABLE: MySQL refuses a lock beside one (its error 3569)
        where, values = within("item_key", [{"stringValue": key} for key in sorted(keys)])
        sql = (
            f"SELECT item_key FROM {TABLE} FORCE INDEX (PRIMARY) "  # noqa: S608  # names of ours
            f"WHERE entity = :entity AND {where} AND owner = :owner FOR UPDATE"
        )
        given = {**values, **self._values, "owner": {"stringValue": owner}}
        return {cell_text(row[0]) for row in inside.query(sql, given)}

    def _owned(self, keys: Sequence[str], owner: str) -> set[str]:
        sql = f"SELECT p.item_key FROM {self._places} WHERE p.owner = :owner"  # noqa: S608  # names of ours
        return {cell_text(row[0]) for row in self._database.query(sql, self._owner_values(keys, owner))}

    def close(self, database: DataApi, keys: Sequence[str], owner: str) -> None:
        """Remove permits: their changes are done."""
        if keys:
            sql = f"DELETE p FROM {self._places} WHERE p.owner = :owner"  # names of ours
            database.execute(sql, self._owner_values(keys, owner))

    def release(self, database: DataApi, keys: Sequence[str], owner: str, seconds: float) -> None:
        """Let permits count for so many seconds at most: their changes are to be replayed again after that."""
        if keys:
            until = f"LEAST(p.deadline, {NOW} + INTERVAL :microseconds MICROSECOND)"
            sql = f"UPDATE {self._places} SET p.deadline = {until} WHERE p.owner = :owner"  # noqa: S608  # names of ours
            given = {"microseconds": {"longValue": int(seconds * 1e6)}}
            database.execute(sql, {**self._owner_values(keys, owner), **given})

    def _owner_values(self, keys: Sequence[str], owner: str) -> Values:
        rows = json_rows.parameter([[key] for key in keys])
        return {**rows, **self._values, "owner": {"stringValue": owner}}
