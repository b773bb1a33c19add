"""What the bridge could not apply, from the quarantine table and from the failure bucket, in one shape.

The table has one record for each key that can never be applied as it is. The bucket has one object for each batch that
was dead-lettered. An entry is one key wherever it stands: to resolve it is to resolve it in every place.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from functions.aws.quarantine import QuarantineRecord, QuarantineTable
from functions.domain.masking import without_masked
from runbook.aws.failure_bucket import DeadLetterObjects
from runbook.aws.outputs import EntityTarget
from runbook.quarantine.dead_letters import DeadLetters
from runbook.quarantine.entry import Entry, EntryKind, instant, merged
from runbook.stack import Context


class EntryStore:
    def __init__(self, context: Context, entity: EntityTarget) -> None:
        self._entity = entity.name
        self._described = context.target.mapping[entity.name]
        self._table = QuarantineTable(context.clients.dynamodb, context.target.quarantine_table, entity.name)
        bucket = DeadLetterObjects(context.clients.s3, context.target, entity)
        self._dead_letters = DeadLetters(bucket, self._described)

    def entries(self) -> list[Entry]:
        found: dict[str, Entry] = {}
        for entry in (*map(self._of_record, self._table.records()), *self._dead_letters.entries()):
            found[entry.key] = merged(found[entry.key], entry) if entry.key in found else entry
        return sorted(found.values(), key=lambda entry: (entry.at, entry.sequence))

    def remove(self, done: Sequence[Entry]) -> set[str]:
        """Remove entries; returns the keys that stay because they have failed anew since they were read."""
        stay = {entry.key for entry in done if entry.noted and not self._table.delete(entry.key, entry.noted)}
        objects: dict[str, set[str]] = {}
        for entry in done:
            for name in entry.objects:
                objects.setdefault(name, set()).add(entry.key)
        for name, keys in objects.items():
            self._dead_letters.remove(name, keys)
        return stay

    def keep(self, entry: Entry, reason: str, code: int) -> None:
        """Store why an entry stays.

        One from the bucket becomes a record in the table, with a reason of its own. If a newer failure came meanwhile,
        that one keeps its reason.
        """
        changes = {"reason": reason, "replayed_at": _now()}
        if entry.noted is None:
            changes |= {
                "sequence": str(entry.sequence),
                "event_name": entry.kind.value,
                "quarantined_at": entry.at,
                "stream": entry.stream,
            }
        self._table.update(entry.key, entry.noted, changes, code)
        self.remove([replace(entry, noted=None)])

    def _of_record(self, record: QuarantineRecord) -> Entry:
        return Entry(
            entity=self._entity,
            key=record.key,
            kind=EntryKind.DELETE if record.event == EntryKind.DELETE else EntryKind.UPSERT,
            reason=without_masked(self._described, record.reason),
            code=record.code,
            sequence=record.sequence,
            stream=record.stream,
            at=instant(record.at),
            noted=record.version,
        )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
