"""Adopts a table's new stream, as part of `runbook init` (docs/adr/0009).

The journal notes that an adoption has begun, before Aurora is changed. Then this process applies what the old stream
still holds and Aurora lacks: a stream that was switched off is readable for 24 hours, but no mapping reads it. Aurora
bars the old stream, forgets its sequence numbers and knows the new one. At last the journal notes the new stream.

What changed while no stream showed it is in the items alone. So a rollback, `complete` and the next cutover of writes
require a clean comparison of all records that began after the journal's last note.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from functions.bridge import stream_guard
from functions.bridge.ownership import Authority
from functions.bridge.stream_guard import ADOPTING
from functions.domain.phase import Phase
from runbook.aws.outputs import EntityTarget
from runbook.aws.stream import Follower, Seen
from runbook.aws.stream_shards import StreamGoneError
from runbook.checks import bridge, stream
from runbook.cutover import drain
from runbook.cutover.fence import Fence
from runbook.errors import FailedError, PreconditionError
from runbook.journal.lock import Lease
from runbook.journal.state import Event, State
from runbook.stack import Context

COMMAND = "init"
AT_ONCE = 1000  # records of the old stream that are applied at the same time
REST_SECONDS = 60.0  # that they may take
LOOK_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True)
class Adopted:
    """What became of an entity's stream: done, unchanged or skipped, with the reason."""

    result: str
    detail: str


def adopt(context: Context, entity: EntityTarget) -> Adopted:
    """Make the table's present stream the one that Aurora and the journal know. It may be killed anywhere.

    Raises:
        RefusedError: another operator holds the lock.
        PreconditionError: the old stream's rest is needed, and cannot be applied.
        FailedError: Aurora does not answer; run it again.
    """
    state = context.journal.state(entity.name)
    if not entity.stream_arn or not bridge.deployed(context.target, entity) or state.phase == Phase.COMPLETE:
        return Adopted(result="unchanged", detail="no bridge follows it")
    if stream.latest(context, entity) != entity.stream_arn:  # the outputs may be older than the table's stream
        check = stream.adopted(context, entity, state)
        return Adopted(result="skipped", detail=f"the stream is {check.value}: {check.remedy}")
    noted = _known(context, entity)
    if noted == state.stream_arn == entity.stream_arn:
        return Adopted(result="unchanged", detail=stream.label(noted))
    with context.held(entity, COMMAND) as lease:
        Fence(context, entity, lease).claim()
        return _adopt(context, entity, lease)


def _adopt(context: Context, entity: EntityTarget, lease: Lease) -> Adopted:
    journal, name, new = context.journal, entity.name, entity.stream_arn
    state, old = journal.state(name), _known(context, entity)
    if {state.stream_arn, old} <= {"", new}:
        journal.write(lease.lock, name, {"stream_arn": new})  # its first stream
        return Adopted(result="done", detail=stream.label(new))
    begun = _event(context, name, "adopting a new stream", {"stream": new, "before": state.stream_arn})
    journal.write(lease.lock, name, {"stream_arn": f"{ADOPTING}{new}"}, begun)
    rest = _apply_rest(context, entity, state, old)
    lease.check()
    _adopt_in_aurora(context, entity, lease)
    changes = {"stream_arn": new, "streams": state.streams + 1}
    journal.write(lease.lock, name, changes, _event(context, name, "adopted a new stream", {"stream": new}))
    remedy = stream.verified(context, entity, journal.state(name))[0].remedy
    return Adopted(result="done", detail=f"adopted {stream.label(new)}; {rest}. {remedy}")


def _known(context: Context, entity: EntityTarget) -> str:
    described = context.target.mapping[entity.name]
    database = context.aurora.database(described.legacy.database)
    return context.aurora.ask(lambda: stream_guard.known(database, described))


def _adopt_in_aurora(context: Context, entity: EntityTarget, lease: Lease) -> None:
    progress: Any = None
    while True:
        event = {"action": "adopt", "entity": entity.name, "stream": entity.stream_arn}
        event |= {"token": lease.next_token(), "progress": progress}
        answer = context.invoke(context.target.bridge_install_function, event)
        if answer["adopted"]:
            return
        progress = answer["progress"]
        context.say(f"clearing the old sequence numbers of {entity.name}")
        lease.check()


def _apply_rest(context: Context, entity: EntityTarget, state: State, old: str) -> str:
    """Apply what the old stream still holds; says what became of it.

    Raises:
        PreconditionError: after a forced rollback Aurora is the source of truth and needs it.
    """
    if not old or stream_guard.is_adopting(old) or old == entity.stream_arn:
        return "an earlier run has read the old stream"
    ended = replace(entity, stream_arn=old)
    try:
        count = _Rest(context, ended).apply()
    except (FailedError, PreconditionError) as error:
        if state.undrained and state.phase == Phase.LEGACY and not isinstance(error, StreamGoneError):
            raise PreconditionError(
                f"Aurora lacks changes that the old stream still holds: {error.message}", error.remedy
            ) from error
        return f"the old stream's rest was not applied ({error.message})"
    return f"applied {count:,} changes that the old stream still held"


@dataclass(frozen=True)
class _Rest:
    """The records of a stream that was switched off, of which Aurora may lack the last.

    Attributes:
        entity: with the ARN of that stream.
    """

    context: Context
    entity: EntityTarget

    def apply(self) -> int:
        """Apply what Aurora lacks; returns how many changes that were.

        Raises:
            PreconditionError: the stream is gone, or Aurora did not take them in time.
            FailedError: Aurora refuses them, or does not answer.
        """
        context, entity = self.context, self.entity
        authority = context.aurora.control(context.target.mapping[entity.name]).authority
        if not authority.bridged_since:
            return 0
        left = drain.unapplied(context, entity, self._read(authority).take())
        count, deadline = len(left), time.monotonic() + REST_SECONDS
        if left:
            context.say(f"applying {count:,} changes that the old stream of {entity.name} still holds")
        while left:
            follower = self._read(authority, left)
            records = [record for key in left if (record := follower.record(key))]
            for start in range(0, len(records), AT_ONCE):
                drain.apply(context, entity, records[start : start + AT_ONCE])
            left = drain.unapplied(context, entity, left)
            if left and time.monotonic() > deadline:
                raise PreconditionError(f"{len(left):,} of its changes were not applied", "See `runbook status`.")
            time.sleep(LOOK_SECONDS if left else 0)
        return count

    def _read(self, authority: Authority, wanted: Mapping[str, Seen] | None = None) -> Follower:
        """Read it to its end; with `wanted` the last records of those keys are kept."""
        follower = Follower(
            self.context.clients,
            self.entity,
            drain.drained_until(self.context, self.entity),
            wanted and frozenset(wanted),
            copied=False,
            authority=authority,
            ended=True,
            say=self.context.say,
        )
        follower.keeps = wanted is not None
        follower.poll()
        return follower


def _event(context: Context, entity: str, result: str, details: Mapping[str, str]) -> Event:
    operator = context.clients.operator
    return Event(entity=entity, command=COMMAND, result=result, operator=operator, details=details)
