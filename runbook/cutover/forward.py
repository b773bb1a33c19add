"""Writes go over: hold them for a moment, let copy write the last rows, compare those, and let them go to modern.

Until the phase is `modern` any failure puts everything back: the fence comes down, the gate passes what it held on to
legacy, and the route is as it was.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection

from functions.domain import names
from runbook.aws import lanes
from runbook.aws.api_gateway import Routes, Side
from runbook.aws.stream import Follower
from runbook.cutover.reverse import Tail
from runbook.cutover.steps import Parts
from runbook.errors import PreconditionError
from runbook.journal.journal import Phase
from runbook.journal.operation import Step
from runbook.quarantine.store import EntryStore
from runbook.verify import run

SETTLE = 30.0  # seconds that a difference may take to vanish while nobody waits
NUDGE = 1.0  # seconds of a queue that does not get empty, after which copy's lanes are called
SHOWN = 3  # differing keys in a message


def steps(parts: Parts) -> list[Step]:
    """The sequence."""
    followed: list[Follower] = []
    return [
        _compare(parts, followed),
        parts.gate_on(Side.LEGACY, parts.entity.write_function),
        _catch_up(parts, followed),
        parts.phase(Phase.SWITCHING, undo=Phase.LEGACY),
        _fence(parts),
        _drain(parts),
        _compare_last(parts, followed),
        parts.phase(Phase.MODERN, commit=True, empty=True),
        parts.route(Routes(writes=Side.MODERN)),
    ]


def _compare(parts: Parts, followed: list[Follower]) -> Step:
    def do() -> None:
        _settle(parts)
        record = parts.context.journal.find_record(parts.entity.name, names.VERIFIED_RECORD)
        since = dt.datetime.fromisoformat(record["started_at"]) if record else None
        follower = parts.follower(since)
        follower.reach(parts.choices.patience)
        _demand_equal(parts, follower.take(), SETTLE)
        followed[:] = [follower]

    return Step(name="compare", says="compare the records that changed since the last verify", do=do)


def _settle(parts: Parts) -> None:
    """Wait for the changes that a forced way back left to the bridge.

    While legacy has its period they cannot overwrite what it wrote since. In phase modern there is none.
    """
    if parts.context.journal.state(parts.entity.name).undrained:
        Tail(parts).follow()
        parts.write({"undrained": None})


def _catch_up(parts: Parts, followed: list[Follower]) -> Step:
    """What can be compared before anybody is held need not be compared while they are."""

    def do() -> None:
        parts.until("copy to be right behind", parts.queue_short, parts.choices.patience)
        follower = followed[0]
        follower.reach(parts.choices.patience)
        _demand_equal(parts, follower.take(), SETTLE)
        parts.fence.control()  # looked at now, so that it need not be while clients wait
        parts.until("copy to be right behind", parts.queue_short, parts.choices.patience)

    return Step(name=names.CATCH_UP, says="wait until copy is right behind legacy's writers", do=do)


def _fence(parts: Parts) -> Step:
    return Step(
        name="fence",
        says="fence up in Aurora: no writer gets in, whoever it is, and those inside finish first",
        do=parts.fence.raise_,
        unsays="fence down",
        undo=parts.fence.undo_raise,
        done=lambda: parts.fence.control().fenced,
    )


def _drain(parts: Parts) -> Step:
    def do() -> None:
        try:
            parts.until("copying the last rows", parts.queue_empty, min(NUDGE, parts.choices.hold))
        except PreconditionError:
            lanes.wake(parts.context, parts.entity)
            parts.until("copying the last rows", parts.queue_empty)
        parked = EntryStore(parts.context, parts.entity).entries()
        if parked:  # copy takes what no item can be out of its queue: modern would not have it
            raise PreconditionError(
                f"DynamoDB cannot take {len(parked)} of the last rows: {parked[0].key}",
                "See `runbook quarantine list`.",
            )

    return Step(name="drain", says="wait until copy's queue is empty", do=do)


def _compare_last(parts: Parts, followed: list[Follower]) -> Step:
    def do() -> None:
        follower = followed[0]
        follower.reach(parts.choices.hold)
        _demand_equal(parts, follower.take(), 0)

    return Step(name="compare-last", says="compare the records that changed while it went on", do=do)


def _demand_equal(parts: Parts, keys: Collection[str], settle: float) -> None:
    found = run.changed(parts.context, parts.entity, list(keys), settle)
    if found:
        shown = ", ".join(each.key for each in found[:SHOWN])
        raise PreconditionError(
            f"{len(found)} of the {len(keys)} records that changed differ: {shown}",
            "Run `runbook verify`; it shows each difference.",
        )
