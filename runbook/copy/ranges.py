"""A backfill by ranges, as the operator's commands see it: start, resume, stop and bar its runs, and their progress.

The journal says which run may write. An execution of another name that is started or stopped late changes nothing.
"""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from functions.copy.ranges import END, PLAN, RangeRecords
from runbook.aws import executions
from runbook.aws.outputs import EntityTarget
from runbook.copy.estimate import RANGE_ROWS, WORKERS, Way
from runbook.errors import PreconditionError
from runbook.stack import Context

NAME_CHARACTERS = 60  # of the entity in an execution's name, which has 80 at most


@dataclass(frozen=True, kw_only=True)
class WayChoice:
    """How the operator wants the backfill done; None chooses by size.

    Attributes:
        workers: that copy ranges at once.
        range_rows: rows of a range, about.
    """

    way: Way | None = None
    workers: int = WORKERS
    range_rows: int = RANGE_ROWS


@dataclass(frozen=True, kw_only=True)
class RangesProgress:
    """How far a backfill by ranges is.

    Attributes:
        stage: `plan`, `copy` or `end`.
        execution: the status of its execution; MISSING before it begins.
        problem: why the execution failed, or why a range waits; empty when all is well.
    """

    run: str
    stage: str
    total: int
    done: int
    workers: int
    execution: str
    problem: str

    @property
    def ended(self) -> bool:
        """Whether no worker is called any more, though ranges may be left."""
        return self.execution != executions.RUNNING


UNPLANNED = {"stage": PLAN, "ranges": 0, "planned_to": "", "range_end": ""}


def attributes(entity: EntityTarget, choice: WayChoice) -> dict[str, Any]:
    """What copy's record has for a backfill by ranges that has not begun."""
    return {**UNPLANNED, "run": _name(entity), "workers": choice.workers, "range_rows": choice.range_rows}


def resumed(context: Context, entity: EntityTarget, record: Mapping[str, Any]) -> dict[str, Any]:
    """What of copy's record a new `copy start` changes: a new run, unless the present one is at work.

    It plans anew if a command that removes the ranges was killed meanwhile.
    """
    at_work = record["state"] == "running" and _state(context, record["run"])[0] in {
        executions.RUNNING,
        executions.MISSING,
    }
    if at_work:
        return {}
    count = int(record["ranges"])
    whole = len(_records(context, entity).all(count)) == count
    return {"run": _name(entity), **({} if whole else UNPLANNED)}


def begin(context: Context, entity: EntityTarget, record: Mapping[str, Any]) -> None:
    """Start the execution of the run that stands in the record; safe to repeat.

    Raises:
        PreconditionError: the stack has no state machine.
    """
    demand_machine(context)
    document = json.dumps({"entity": entity.name})
    machine, run = context.target.range_machine_arn, str(record["run"])
    if executions.state(context.clients.executions, machine, run)[0] == executions.MISSING:
        executions.start(context.clients.executions, machine, run, document)


def demand_machine(context: Context) -> None:
    """Raise PreconditionError unless the stack has the state machine."""
    if not context.target.range_machine_arn:
        raise PreconditionError(
            "this stack has no state machine that copies by ranges", "Deploy it with `pulumi up`, or pass --by lanes."
        )


def stop(context: Context, record: Mapping[str, Any], cause: str) -> None:
    """Stop the execution. Its workers stop by the record, which says so before this is called."""
    if record.get("run"):
        executions.stop(context.clients.executions, context.target.range_machine_arn, str(record["run"]), cause)


def bar(context: Context, entity: EntityTarget, record: Mapping[str, Any]) -> None:
    """Refuse what workers of the record's run write from now on, and remove its ranges; safe to repeat."""
    count, run = int(record.get("ranges", 0)), str(record.get("run") or "")
    ranges = _records(context, entity)
    if run:
        # by whichever run a range is held: one that was resumed may not have adopted all
        for held in {run, *(each.run for each in ranges.all(count).values() if each.run)}:
            ranges.bar(held, count)
    ranges.remove(count)


def progress(context: Context, entity: EntityTarget, record: Mapping[str, Any]) -> RangesProgress | None:
    """How far the run in the record is; None where there is none."""
    run = str(record.get("run") or "")
    if not run:
        return None
    count = int(record.get("ranges", 0))
    found = _records(context, entity).all(count).values()
    status, cause = _state(context, run)
    notes = [each.note for each in found if each.note and not each.done]
    failed = status not in {executions.RUNNING, executions.MISSING}
    return RangesProgress(
        run=run,
        stage=str(record["stage"]),
        total=count,
        done=count if record["stage"] == END else sum(each.done for each in found),
        workers=int(record["workers"]),
        execution=status,
        problem=cause if failed else next(iter(notes), ""),
    )


def _records(context: Context, entity: EntityTarget) -> RangeRecords:
    return RangeRecords(context.clients.dynamodb_once, context.target.journal_table, entity.name)


def _state(context: Context, run: str) -> tuple[str, str]:
    return executions.state(context.clients.executions, context.target.range_machine_arn, run)


def _name(entity: EntityTarget) -> str:
    return f"{entity.name[:NAME_CHARACTERS]}-{uuid.uuid4().hex[:12]}"
