"""Which stream a table's sequence numbers belong to: they compare within one stream only (docs/adr/0009).

A table whose stream was re-enabled, or that was made anew, has a new stream, and its numbers say nothing about the old
ones. The bridge refuses records of a stream that Aurora does not know, and each statement that writes a number changes
nothing unless the number's stream is the known one. `runbook init` adopts a new stream: it bars the old one, clears the
old numbers, and makes the new one the known one.

It runs as the bridge's user. The fence lets that user write in phase modern, and in phase legacy the triggers leave the
rows' epochs alone and queue nothing.
"""

import base64
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from functions.aws.data_api import DataApi, cell_text
from functions.bridge.kept_columns import keeping
from functions.domain import names
from functions.domain.entities import Entity

AT_ONCE = 5000  # rows whose number is cleared in one statement, so that no lock is held for long
ADOPTING = "adopting "  # stored before the ARN of a stream from the first step of its adoption to the last
TRANSACTION_LOOKS, LOOK_SECONDS = 40, 0.5  # at transactions from before, in one call
Values = dict[str, dict[str, Any]]


class UnknownStreamError(Exception):
    """Records of a stream that the legacy database was not prepared for; `runbook init` prepares it."""


class AdoptionRefusedError(Exception):
    """Another command adopts another stream, or a newer operation has acted; nothing was changed."""


def check(database: DataApi, entity: Entity, stream_arn: str) -> None:
    """Let records of the known stream pass.

    Args:
        database: on the entity's database.
        stream_arn: where the records come from.

    Raises:
        UnknownStreamError: it is not the stream that `runbook init` was last run for.
    """
    expected = known(database, entity)
    if expected != stream_arn:
        raise UnknownStreamError(
            f"{entity.name}: records come from {stream_arn}, prepared for {expected or 'none yet'}; run `runbook init`"
        )


def known(database: DataApi, entity: Entity) -> str:
    """The stream that the rows' sequence numbers belong to; empty before `runbook init`.

    While one is being adopted: `ADOPTING` and its ARN.
    """
    sql = f"SELECT stream_arn FROM {_table(entity)} WHERE entity = :entity"  # noqa: S608  # checked names
    rows = database.query(sql, {"entity": {"stringValue": entity.name}})
    return cell_text(rows[0][0]) if rows else ""


def is_adopting(noted: str) -> bool:
    """Whether `known` answered that an adoption has begun and not ended."""
    return noted.startswith(ADOPTING)


def follows(parameter: str) -> str:
    """The condition, in SQL, that the known stream is the one of a parameter.

    It reads with a shared lock, so that an adoption waits for each statement under way.
    """
    return f"(SELECT s.stream_arn = {parameter} FROM {names.STREAMS_TABLE} s WHERE s.entity = :entity)"  # noqa: S608


def confirm(server: DataApi, entity: Entity, stream_arn: str) -> bool:
    """Make a stream the known one where none is; whether it is the known one now."""
    values = {"entity": {"stringValue": entity.name}, "arn": {"stringValue": stream_arn}}
    server.execute(f"INSERT IGNORE INTO {_table(entity)} (entity, stream_arn) VALUES (:entity, :arn)", values)  # noqa: S608
    return known(server, entity) == stream_arn


class TransactionOpenError(Exception):
    """A transaction from before the old numbers were cleared is still open; it may write one of them yet."""


@dataclass(frozen=True, kw_only=True)
class Adoption:
    """Makes a new stream the known one. It may be killed anywhere and run again, twice at once too.

    Every statement has the condition that this very adoption is under way: one that is late changes nothing.

    Attributes:
        database: on the entity's database, as the bridge's user.
        server: as the master user.
        stream_arn: of the new stream.
        token: the operator's fencing token.
    """

    entity: Entity
    database: DataApi
    server: DataApi
    stream_arn: str
    token: int

    def run(self, progress: Mapping[str, Any] | None, stretches: int) -> dict[str, Any] | None:
        """Clear the numbers of some rows, and end the adoption when none is left anywhere.

        Legacy's triggers carry numbers from rows to tombstones and from there to new rows. So everything is cleared
        until a whole pass has found nothing.

        Args:
            progress: what the call before returned; None for the first.
            stretches: of rows to clear at most, `AT_ONCE` each.

        Returns:
            Where to continue, as JSON takes it; None once the stream is the known one.

        Raises:
            AdoptionRefusedError: another command adopts another stream, or a newer operation has acted.
            TransactionOpenError: a transaction that may still see an old number does not end.
        """
        before = known(self.server, self.entity)
        if before == self.stream_arn:
            return None
        if before != self._under_way:
            self._begin(before)
            progress = None
        place, cleared = (_place(progress["after"]), int(progress["cleared"])) if progress else (None, 0)
        for _ in range(stretches):
            place, count = self._clear_rows(place)
            cleared += count
            if place is None and not cleared + self._clear_helpers():
                self._await_transactions()
                self._end()
                return None
            cleared = cleared if place else 0
        return {"after": _text(place), "cleared": cleared}

    @property
    def _under_way(self) -> str:
        return f"{ADOPTING}{self.stream_arn}"

    @property
    def _values(self) -> Values:
        return {"entity": {"stringValue": self.entity.name}, "adopting": {"stringValue": self._under_way}}

    def _begin(self, before: str) -> None:
        """Bar the stream before: its statements under way have ended when this returns, and later ones do nothing."""
        streams, tokens = _table(self.entity), f"`{self.entity.legacy.database}`.{names.TOKENS_TABLE}"
        self.server.execute(
            f"UPDATE {streams} s JOIN {tokens} t ON t.entity = s.entity SET s.stream_arn = :adopting "  # noqa: S608
            "WHERE s.entity = :entity AND s.stream_arn = :before AND t.token <= :token",
            {**self._values, "before": {"stringValue": before}, "token": {"longValue": self.token}},
        )
        self._demand(self._under_way)

    def _clear_rows(self, after: dict[str, Any] | None) -> tuple[dict[str, Any] | None, int]:
        """Clear one stretch of the table by its primary key.

        Returns:
            Its end, None for the last stretch; and how many rows had a number.
        """
        legacy, column = self.entity.legacy, names.SEQUENCE_COLUMN
        key, values = f"`{legacy.key}`", dict[str, Any]({"after": after} if after else {})
        where = f"{key} > :after" if after else "TRUE"
        last = f"SELECT {key} FROM `{legacy.table}` WHERE {where} ORDER BY {key} LIMIT 1 OFFSET {AT_ONCE - 1}"  # noqa: S608
        found = self.database.query(last, values)
        end: dict[str, Any] | None = dict(found[0][0]) if found else None
        if end:
            where, values = f"{where} AND {key} <= :until", {**values, "until": end}
        kept = keeping(self.database, self.entity)
        rows = f"UPDATE `{legacy.table}` SET {column} = NULL{kept} WHERE {where} AND {column} IS NOT NULL"  # noqa: S608
        return end, self.database.execute(f"{rows} AND {follows(':adopting')}", {**values, **self._values})

    def _clear_helpers(self) -> int:
        """Forget tombstones and heartbeat; a tombstone of legacy's keeps its epoch, which belongs to no stream."""
        cleared = 0
        still = f"WHERE entity = :entity AND {follows(':adopting')}"
        deletes = names.DELETES_TABLE
        permits = f"DELETE FROM {names.REPLAYS_TABLE} {still} AND item_key <> ''"  # noqa: S608  # names of ours
        for sql in (
            *([permits] if self.entity.replayed else []),
            f"DELETE FROM {deletes} {still} AND legacy_stamp IS NULL",  # noqa: S608  # names of ours
            f"UPDATE {deletes} SET sequence = 0 {still} AND sequence > 0",  # noqa: S608
            f"DELETE FROM {names.HEARTBEATS_TABLE} {still}",  # noqa: S608
        ):
            while count := self.database.execute(f"{sql} LIMIT {AT_ONCE}", self._values):
                cleared += count
        return cleared

    def _await_transactions(self) -> None:
        """Wait until no transaction is left that may show a trigger a tombstone as it was before the clearing."""
        older = self._transactions()
        for _ in range(TRANSACTION_LOOKS):
            older &= self._transactions()
            if not older:
                return
            time.sleep(LOOK_SECONDS)
        raise TransactionOpenError(
            f"{len(older)} transactions have been open since before the old numbers were cleared: end them, "
            f"see information_schema.innodb_trx, threads {', '.join(sorted(thread for thread, *_ in older))}"
        )

    def _transactions(self) -> set[tuple[str, ...]]:
        """Those that are open now: thread, number and beginning, because a number may be used again."""
        sql = (
            "SELECT CAST(trx_mysql_thread_id AS CHAR), CAST(trx_id AS CHAR), CAST(trx_started AS CHAR) "
            "FROM information_schema.innodb_trx WHERE trx_mysql_thread_id NOT IN (0, CONNECTION_ID())"
        )
        return {tuple(map(cell_text, row)) for row in self.server.query(sql)}

    def _end(self) -> None:
        self.server.execute(
            f"UPDATE {_table(self.entity)} SET stream_arn = :arn "  # noqa: S608  # checked names
            "WHERE entity = :entity AND stream_arn = :adopting",
            {**self._values, "arn": {"stringValue": self.stream_arn}},
        )
        self._demand(self.stream_arn)

    def _demand(self, wanted: str) -> None:
        found = known(self.server, self.entity)
        if found not in {wanted, self.stream_arn}:
            raise AdoptionRefusedError(
                f"{self.entity.name}: {found or 'no stream'} is noted, and not {wanted}: a newer command has acted"
            )


def _text(place: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A primary key's cell as JSON takes it."""
    if place is None:
        return None
    return {kind: base64.b64encode(each).decode() if isinstance(each, bytes) else each for kind, each in place.items()}


def _place(text: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if text is None:
        return None
    return {kind: base64.b64decode(each) if kind == "blobValue" else each for kind, each in text.items()}


def _table(entity: Entity) -> str:
    return f"`{entity.legacy.database}`.{names.STREAMS_TABLE}"
