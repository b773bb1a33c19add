"""A sandbox of these tests' own, whose table gets new streams: by UpdateTable, and by a deployment that follows it."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest
from afresh import AT_ONCE, afresh
from journal_states import long_at_the_gate
from writes_world import ENTITY, FORCED, MODERN, QUICK, bring_back, first_name, stands, start_copy, switch, until, write

from runbook import init
from runbook.aws import outputs as targets
from runbook.aws.http import path
from runbook.aws.outputs import EntityTarget
from runbook.checks.stream import latest
from runbook.errors import PreconditionError
from runbook.repair import Repair
from runbook.stack import Context
from runbook.verify import run
from sandbox import lifecycle
from sandbox.lifecycle import Sandbox

ENTITIES = Path(__file__).parents[1] / "entities.toml"
BETWEEN = 0.05  # seconds between two writes of a client
NAME = f"test-{os.getpid()}-streams"
ON = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
Shown = Mapping[str, str | None]  # the first name by key; None for a record that is gone


@dataclass
class Streams:
    """The system, whose stream is replaced again and again."""

    sandbox: Sandbox

    def __post_init__(self) -> None:
        self.context = afresh(self.sandbox)
        start_copy(self.context)

    @property
    def entity(self) -> EntityTarget:
        return self.context.target.entity(ENTITY)

    def to_modern(self) -> None:
        """Both sides compared, writes on modern."""
        assert run.run(self.context, self.entity, run.VerifyOptions()).clean
        long_at_the_gate(self.context, self.entity.name)
        switch(self.context, "cutover").execute()

    def back(self) -> None:
        """Everything on legacy with the table's present stream, whatever was."""
        functions = self.context.clients.functions
        functions.update_event_source_mapping(UUID=self.entity.bridge_mapping_id, Enabled=True)
        if latest(self.context, self.entity) != self.entity.stream_arn:
            self.disable()
            self.enable()
            self.redeploy()
        init.run(self.context)
        self.repair()
        bring_back(self.context)

    def disable(self) -> None:
        client = self.context.clients.dynamodb
        client.update_table(TableName=self.entity.modern_table, StreamSpecification={"StreamEnabled": False})

    def enable(self) -> None:
        client = self.context.clients.dynamodb
        client.update_table(TableName=self.entity.modern_table, StreamSpecification=ON)

    def redeploy(self) -> None:
        """`pulumi up --refresh`: the mapping follows the new stream, and the outputs name both."""
        up = lifecycle.up(NAME, AT_ONCE, entities=ENTITIES, current=False, refresh=True)
        self.context = Context.of(targets.parse(up.outputs, "the sandbox"))

    def replace(self) -> None:
        self.disable()
        self.enable()
        self.redeploy()

    def stop_bridge(self) -> None:
        """The mapping ends, as it does when its stream is disabled; what it has not delivered stays in the stream."""
        functions, mapping = self.context.clients.functions, self.entity.bridge_mapping_id
        functions.update_event_source_mapping(UUID=mapping, Enabled=False)
        until(lambda: functions.get_event_source_mapping(UUID=mapping)["State"] == "Disabled")

    def repair(self) -> None:
        options = run.VerifyOptions(grace=2.0)
        found = run.run(self.context, self.entity, options)
        functions, mapping = self.context.clients.functions, self.entity.bridge_mapping_id
        failed = "PROBLEM"  # of the batches that came before the stream was adopted, until the next one
        until(lambda: failed not in functions.get_event_source_mapping(UUID=mapping).get("LastProcessingResult", ""))
        assert Repair(self.context, self.entity).execute(found, options).clean

    def delete(self, key: str) -> None:
        assert self.context.api.request("DELETE", path(ENTITY, key)).status == 204

    def shown(self, system: str, keys: Collection[str]) -> Shown:
        return {key: first_name(self.context, system, key) for key in keys}

    def deliver(self, stream: str, key: str, event: str = "MODIFY", **image: str) -> str:
        """Give the bridge a record as a mapping does; the error of its function, or nothing."""
        keys = {"ChefId": {"S": key}}
        data: dict[str, Any] = {"Keys": keys, "SequenceNumber": "9" * 30, "ApproximateCreationDateTime": time.time()}
        if event != "REMOVE":
            data["NewImage"] = {**keys, **{name: {"S": value} for name, value in image.items()}}
        record = {"eventName": event, "eventSource": "aws:dynamodb", "eventSourceARN": stream, "dynamodb": data}
        answer = self.context.clients.functions.invoke(
            FunctionName=self.entity.bridge_function, Payload=json.dumps({"Records": [record]})
        )
        return answer["Payload"].read().decode() if answer.get("FunctionError") else ""


@dataclass
class Changes:
    """What clients changed at one time: a record that was there is changed, another deleted, one is made."""

    streams: Streams
    name: str
    keys: list[str] = field(default_factory=list[str])

    def prepare(self) -> None:
        """Make what is changed later, while legacy is the source of truth."""
        context = self.streams.context
        self.keys = [write(context, "before", system="aurora") for _ in range(2)]
        until(lambda: all(first_name(context, "dynamo", key) for key in self.keys))

    def make(self) -> Shown:
        """Make the changes by the public API; returns what both sides must show in the end."""
        changed, deleted = self.keys
        write(self.streams.context, self.name, changed)
        self.streams.delete(deleted)
        return {changed: self.name, deleted: None, write(self.streams.context, f"new {self.name}"): f"new {self.name}"}


class Client:
    """Writes some records by the public API all the time; knows the last that was acknowledged of each."""

    def __init__(self, context: Context) -> None:
        self._context = Context.of(context.target)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.acknowledged: dict[str, str] = {}
        self.failures: list[BaseException] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            keys = [write(self._context, "client") for _ in range(3)]
            number = 0
            while not self._stop.is_set():
                number += 1
                key = keys[number % len(keys)]
                write(self._context, f"client {number}", key)
                self.acknowledged[key] = f"client {number}"
                self._stop.wait(BETWEEN)
        except BaseException as error:  # noqa: BLE001  # reported by the test
            self.failures.append(error)


def refused(context: Context, reason: str) -> None:
    """Neither a rollback nor a forced one begins, for this reason."""
    for choices in (QUICK, FORCED):
        with pytest.raises(PreconditionError, match=reason):
            switch(context, "rollback", choices=choices).execute()
    assert stands(context) == MODERN
