"""Both sides of chefs, with records that the bridge could not apply."""

from __future__ import annotations

import json
import time
import uuid
from urllib.parse import urlsplit

from journal_states import force_phase

from functions.aws.quarantine import Quarantine
from functions.domain import origin
from functions.domain.changes import Change, ChangeKind
from functions.domain.phase import Phase
from runbook.quarantine.store import EntryStore
from sandbox.emulator.behaviour import on_failure

TOO_LONG = "x" * 300
BASE = 5_000_000_000_000_000_000_000


class QuarantineWorld:
    def __init__(self, context, chefs, sandbox):
        self.context, self.chefs, self.sandbox = context, chefs, sandbox
        self.made: list[str] = []
        self.dynamodb = context.clients.dynamodb

    def key(self) -> str:
        self.made.append(f"q-{uuid.uuid4().hex[:8]}")
        return self.made[-1]

    def item(self, key, name, *, unseen=False):
        """Write an item; the bridge does not get to see an `unseen` one."""
        mark = origin.mark(key, None) if unseen else {}
        self.dynamodb.put_item(
            TableName=self.chefs.modern_table,
            Item={"ChefId": {"S": key}, "firstName": {"S": name}, "lastName": {"S": "Q"}, **mark},
        )

    def read(self, key):
        return self.dynamodb.get_item(
            TableName=self.chefs.modern_table, Key={"ChefId": {"S": key}}, ConsistentRead=True
        ).get("Item", {})

    def name(self, key):
        return self.read(key).get("firstName", {}).get("S")

    def row(self, key):
        found = self.sql("SELECT cheffirst FROM chefdb.cheftable WHERE streamback_key = %s", key)
        return found[0][0] if found else None

    def sql(self, statement, *values):
        with self.sandbox.database.connect() as connection, connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall()

    def control(self, **values):
        sets = ", ".join(f"{name} = {value}" for name, value in values.items())
        self.sql(f"UPDATE chefdb.streamback_control SET {sets} WHERE entity = 'chefs'")

    def phase(self, phase: Phase):
        force_phase(self.context, "chefs", phase)

    def poisoned(self, row="old") -> str:
        """A record whose row is `row` and whose item has a value that no column takes; quarantined by the bridge."""
        key = self._with_row(row)
        self.item(key, TOO_LONG)
        until(lambda: self.entry(key))
        return key

    def quarantined(self) -> str:
        """The same without the wait for the bridge, by what it quarantines with; the item bears the mark of copy."""
        key = self._with_row("old")
        self.item(key, TOO_LONG, unseen=True)
        table, stream = self.context.target.quarantine_table, self.record(key, 0)["eventSourceARN"]
        change = Change(key=key, sequence=BASE, kind=ChangeKind.UPSERT)
        entity = self.context.target.mapping["chefs"]
        Quarantine(self.dynamodb, table, "a test", stream).put(entity, change, "firstName: a test")
        return key

    def _with_row(self, name) -> str:
        key = self.key()
        if name is not None:
            self.sql(
                "INSERT INTO chefdb.cheftable (cheffirst, cheflast, streamback_key, streamback_sequence) "
                "VALUES (%s, 'Q', %s, 1)",
                name,
                key,
            )
        return key

    def entry(self, key):
        return next((e for e in EntryStore(self.context, self.chefs).entries() if e.key == key), None)

    def dead_lettered(self, monkeypatch, *batch) -> str:
        """What the emulator writes for a batch that a mapping dead-letters; returns the object's name."""
        monkeypatch.setenv("GATEWAY_PORT", str(urlsplit(self.sandbox.outputs["endpointUrl"]).port))
        mapping = self.context.clients.functions.get_event_source_mapping(UUID=self.chefs.bridge_mapping_id)
        before = self.objects()
        on_failure.put(
            self.context.target.failure_bucket, json.loads(json.dumps(mapping, default=str)), list(batch),
            "RecordAgeExceeded", 7,
        )  # fmt: skip
        return (self.objects() - before).pop()

    def record(self, key, number, event="MODIFY", **image):
        data = {"Keys": {"ChefId": {"S": key}}, "SequenceNumber": str(BASE + number)}
        data["ApproximateCreationDateTime"] = 1_700_000_000.0
        if event != "REMOVE":
            data["NewImage"] = {"ChefId": {"S": key}, **image}
        stream = self.dynamodb.describe_table(TableName=self.chefs.modern_table)["Table"]["LatestStreamArn"]
        return {"eventName": event, "dynamodb": data, "eventSourceARN": stream}

    def objects(self) -> set[str]:
        found = self.context.clients.s3.list_objects_v2(Bucket=self.context.target.failure_bucket)
        return {each["Key"] for each in found.get("Contents", [])}

    def tidy(self):
        self.phase(Phase.LEGACY)
        self.control(fenced=0, legacy_stamp=0, generation=0)
        for key in self.made:
            self.dynamodb.delete_item(TableName=self.chefs.modern_table, Key={"ChefId": {"S": key}})
            self.sql("DELETE FROM chefdb.cheftable WHERE streamback_key = %s", key)
        for entry in EntryStore(self.context, self.chefs).entries():
            EntryStore(self.context, self.chefs).remove([entry])
        self.sql("DELETE FROM chefdb.streamback_changes")
        for name in self.objects():
            self.context.clients.s3.delete_object(Bucket=self.context.target.failure_bucket, Key=name)


def until(holds, seconds=30):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.03)


def park_what_is_gone(world):
    """An entry of the other entity, whose key is on neither side."""
    table = world.context.target.quarantine_table
    Quarantine(world.dynamodb, table, "a test", "").put_key("specimens", "upsert", "gone-1", "a test")
