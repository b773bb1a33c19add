"""Carries the program's wishes out, resource by resource, and deletes what it no longer wants."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from sandbox.engine import change, presence, provider, values
from sandbox.engine.aws import Aws
from sandbox.engine.errors import EngineError, ResourceError
from sandbox.engine.plan import Change, Goal, Plan, plan
from sandbox.engine.registry import TYPES, Handler
from sandbox.engine.state import Record, State

provider.load()


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing done to one resource (or, in a preview, to be done)."""

    change: Change
    urn: str
    type: str
    name: str
    seconds: float


class Deployment:
    """One run of the program against one emulator. Used from many threads.

    Args:
        state: what is there.
        aws: where it is.
        report: called for each event.
        preview: only say what would happen.
        anew: replace every resource that holds data.
        refresh: look at what is there first; something else may have changed it.
    """

    def __init__(  # noqa: PLR0913  # the run's options
        self,
        state: State,
        aws: Aws,
        report: Callable[[Event], None],
        *,
        preview: bool = False,
        anew: bool = False,
        refresh: bool = False,
    ) -> None:
        self._state = state
        self.aws = aws
        self._report = report
        self.preview = preview
        self._anew = anew
        self._refresh = refresh
        self._seen: set[str] = set()
        self._replaced: set[str] = set()
        self._lock = threading.Lock()

    def claim(self, urn: str) -> None:
        """Note that the program has this URN.

        Raises:
            EngineError: it has it already.
        """
        with self._lock:
            if urn in self._seen:
                raise EngineError("the program registers this URN twice", urn)
            self._seen.add(urn)

    def register(self, goal: Goal) -> tuple[str, dict[str, Any]]:
        """Bring one resource to its goal; its id ("" if a preview cannot know) and its properties.

        Raises:
            ResourceError: naming the URN and the type.
        """
        handler = TYPES.get(goal.type)
        if handler is None:
            raise ResourceError(goal.urn, goal.type, "the sandbox does not know this resource type")
        record = self._state.find(goal.urn)
        try:
            if record and self._refresh:
                record = self._looked_at(record, handler(self.aws))
            todo = plan(goal, record, handler, anew=self._is_lost(goal, handler))
            return self._foresee(goal, record, todo) if self.preview else self._carry_out(goal, record, todo, handler)
        except EngineError:
            raise
        except change.REFUSALS as error:
            raise ResourceError(goal.urn, goal.type, change.explain(error)) from error

    def _looked_at(self, record: Record, worker: Handler) -> Record | None:
        """The record as the resource is now; None, and forgotten, where it is gone."""
        if not presence.is_there(worker, record):
            self._state.remove(record)
            return None
        worker.refresh(record)
        self._state.put(record)
        return record

    def finish(self) -> None:
        """Delete, newest first, what was replaced and what the program no longer has."""
        for record in reversed(self._state.records):
            if record.replaced or record.urn not in self._seen:
                self._retire(record, Change.DELETE)

    def _is_lost(self, goal: Goal, handler: type[Handler]) -> bool:
        """Whether the resource must be made again although nothing about it changed."""
        whole = goal.sources.get(handler.part_of, frozenset[str]())
        return (self._anew and handler.holds_data) or bool(whole & self._replaced)

    def _foresee(self, goal: Goal, record: Record | None, todo: Plan) -> tuple[str, dict[str, Any]]:
        self._report_change(todo.change, goal.urn, goal.type, time.monotonic())
        if todo.change is Change.REPLACE:
            self._replaced.add(goal.urn)
        if record is None or todo.change is Change.REPLACE:
            return "", dict(goal.inputs)
        return record.id, {**record.properties, **todo.inputs} if todo.changed else record.properties

    def _carry_out(
        self, goal: Goal, record: Record | None, todo: Plan, handler: type[Handler]
    ) -> tuple[str, dict[str, Any]]:
        begun = time.monotonic()
        worker = handler(self.aws)
        if record is None or todo.change is Change.REPLACE:
            record = self._make(goal, record, todo, worker)
        elif todo.change is Change.UPDATE:
            self._alter(record, todo, worker)
        kept = (record.protect, record.retain)
        record.protect, record.retain = goal.protect, goal.retain
        if todo.change is not Change.SAME or kept != (goal.protect, goal.retain):
            self._state.put(record)
        self._report_change(todo.change, goal.urn, goal.type, begun)
        return record.id, record.properties

    def _make(self, goal: Goal, old: Record | None, todo: Plan, worker: Handler) -> Record:
        if old:
            self._replaced.add(goal.urn)
        if old and todo.delete_first:
            self._retire(old, Change.REPLACE)
        elif old:
            self._refuse_protected(old)
            old.replaced = True
            self._state.put(old)
        self._state.begin(goal.urn)
        try:
            made = worker.create(todo.inputs)
        except ClientError:
            self._state.abandon(goal.urn)  # refused, so nothing was left; any other failure may have left something
            raise
        inputs = values.for_state(todo.inputs)
        return Record(urn=goal.urn, type=goal.type, id=made.id, inputs=inputs, outputs=dict(made.outputs))

    def _alter(self, record: Record, todo: Plan, worker: Handler) -> None:
        record.outputs |= change.update(worker, record, todo.inputs, todo.changed)
        record.inputs = values.for_state(todo.inputs)

    def _retire(self, record: Record, kind: Change) -> None:
        if not record.replaced:
            self._refuse_protected(record)
        begun = time.monotonic()
        if not self.preview:
            self._delete(record)
        if kind is Change.DELETE and not record.replaced:
            self._report_change(kind, record.urn, record.type, begun)

    def _delete(self, record: Record) -> None:
        try:
            if not record.retain:
                self._delete_with(TYPES[record.type](self.aws), record)
        except ClientError as error:
            raise ResourceError(record.urn, record.type, str(error)) from error
        self._state.remove(record)

    def _delete_with(self, worker: Handler, record: Record) -> None:
        if self._anew:
            worker.release(record)
        change.delete(worker, record)

    def _refuse_protected(self, record: Record) -> None:
        if record.protect and not self._anew:
            raise ResourceError(record.urn, record.type, "is protected: the program may not delete or replace it")

    def _report_change(self, kind: Change, urn: str, type_: str, begun: float) -> None:
        name = urn.rsplit("::", 1)[-1]
        self._report(Event(change=kind, urn=urn, type=type_, name=name, seconds=time.monotonic() - begun))
