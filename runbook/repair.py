"""`runbook verify --repair`: makes the wrong side of each record that differs what the right side is.

Which side is right is the phase's to say, and the rule is replay's (`runbook.settling`): in phase modern the row is
written from the item, in phase legacy copy is left to write the item from the row. Nothing is written from what the
comparison has read: both sides are read anew under the operator's lock, by the code that the bridge and copy use.

In phase modern the row gets the sequence of the item's last record in the stream, where the stream still shows one, so
that a later `rollback` or `complete` does not wait for a record that is made good already. A run may be killed
anywhere: each record is settled on its own, and what is settled does not differ the next time.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from runbook.aws.outputs import EntityTarget
from runbook.aws.stream import Seen
from runbook.checks import plans
from runbook.checks.check import Check, demand
from runbook.checks.plans import CheckScope
from runbook.errors import PreconditionError
from runbook.journal import remedies
from runbook.journal.journal import Event, Phase
from runbook.journal.lock import Lease, held
from runbook.quarantine.entry import Entry, EntryKind
from runbook.quarantine.resolve import PATIENCE, QUEUED, Action, Outcome, Settler
from runbook.stack import Context
from runbook.verify import run
from runbook.verify.compare import Difference
from runbook.verify.run import Verification, VerifyOptions

COMMAND = "verify --repair"
AT_ONCE = 8  # records that are settled at the same time
CHUNK = 100  # records that are compared anew before they are settled
KEYS_TOLD = 100  # in one line of the history
ROWS = frozenset({Action.WRITE_ROW, Action.DELETE_ROW})
LONGEST_SETTLE = 6  # times the settling time that is waited for copy, as long as it gets on


@dataclass(frozen=True, kw_only=True)
class Intent:
    """What would be done about a difference.

    Attributes:
        wrong: `row` or `item`; empty when there is nothing to do any more.
    """

    difference: Difference
    action: Action
    wrong: str


@dataclass(frozen=True, kw_only=True)
class Repaired:
    """What was done.

    Attributes:
        outcomes: of each record that still differed when its turn came.
        left: what differs afterwards.
        more: there was more that differed than was told, and so repaired.
    """

    outcomes: Sequence[Outcome]
    left: Sequence[Difference]
    more: bool = False

    @property
    def clean(self) -> bool:
        """Whether nothing differs any more."""
        return not self.left and not self.more


class Unparked:
    """Where what cannot be repaired is parked: nowhere, it is told and stays a difference."""

    def keep(self, entry: Entry, reason: str, code: int) -> None:
        """Keep nothing."""


class Repair:
    """The repair of one entity.

    Args:
        context: of the stack.
        entity: whose records.
    """

    def __init__(self, context: Context, entity: EntityTarget) -> None:
        self._context = context
        self._entity = entity

    def phase(self) -> Phase:
        """The phase, where it says which side is right.

        Raises:
            PreconditionError: it does not, or the entity is complete.
        """
        state = self._context.journal.state(self._entity.name)
        if state.operation or state.phase in {Phase.SWITCHING, Phase.RETURNING}:
            raise PreconditionError(
                f"{self._entity.name} is {state.phase}, with a switch under way: nobody can say yet which side is the "
                "source of truth",
                remedies.first(state),
            )
        if state.phase == Phase.COMPLETE:
            raise PreconditionError(f"{self._entity.name} is complete: its legacy table is no longer kept true")
        return state.phase

    def checks(self) -> list[Check]:
        """Whether the bridge is whole. Otherwise what differs may only be what it has not applied yet."""
        return self._checks(send_heartbeat=False)

    def _checks(self, *, send_heartbeat: bool) -> list[Check]:
        return plans.checks(self._context, self._entity, CheckScope.REPAIR, send_heartbeat=send_heartbeat)

    def plan(self, differences: Sequence[Difference]) -> list[Intent]:
        """What would be done now about each difference.

        Raises:
            PreconditionError: nothing can be repaired in the present phase.
        """
        settler = self._settler(self.phase())
        with ThreadPoolExecutor(AT_ONCE) as pool:
            actions = pool.map(settler.action, [self._entry(each.key, None) for each in differences])
            return [
                Intent(difference=each, action=action, wrong=_wrong(action))
                for each, action in zip(differences, actions, strict=True)
            ]

    def execute(self, found: Verification, options: VerifyOptions) -> Repaired:
        """Settle each difference that is still there, then compare those records again.

        Raises:
            PreconditionError: nothing can be repaired in the present phase, or the bridge is not whole.
            RefusedError: another operator holds the lock.
            FailedError: Aurora does not answer; what was done stays done.
        """
        keys = [difference.key for difference in found.differences]
        if not keys:
            return Repaired(outcomes=(), left=())
        context, name = self._context, self._entity.name
        with held(context.journal, name, context.clients.operator, COMMAND) as lease:
            phase = self.phase()
            demand(self._checks(send_heartbeat=True))
            self._record(lease, "started", keys)
            try:
                outcomes = self._settle(lease, phase, keys, options.rate)
            except BaseException:
                self._record(lease, "stopped", keys)
                raise
            left = self._compared([outcome.key for outcome in outcomes], options)
            self._record(lease, f"{len(keys) - len(left)} are equal, {len(left)} differ", keys)
        if not found.more:
            run.note(context, found, len(left))
        return Repaired(outcomes=outcomes, left=left, more=found.more)

    def _settle(self, lease: Lease, phase: Phase, keys: Sequence[str], rate: float) -> list[Outcome]:
        settler, seen, done = self._settler(phase), self._seen(phase, keys), list[Outcome]()

        def settle(key: str) -> Outcome:
            lease.check()
            return settler.settle(self._entry(key, seen.get(key)))

        with ThreadPoolExecutor(AT_ONCE) as pool:
            for start in range(0, len(keys), CHUNK):
                self._context.say(f"repairing {self._entity.name}: {start:,} of {len(keys):,} records")
                some = keys[start : start + CHUNK]
                differing = run.compare_keys(self._context, self._entity, some, 0, rate, timeout=PATIENCE)
                done += pool.map(settle, [difference.key for difference in differing])
        return done

    def _seen(self, phase: Phase, keys: Sequence[str]) -> dict[str, Seen]:
        """The last records of these keys that the stream has; of use where rows are written."""
        if phase != Phase.MODERN:
            return {}
        follower = self._context.follower(self._entity, wanted=frozenset(keys))
        follower.reach(run.STREAM_TIMEOUT)
        return follower.take()

    def _compared(self, keys: Sequence[str], options: VerifyOptions) -> Sequence[Difference]:
        """What differs when copy has had its time; as long as it gets on, it has more."""
        context, entity, left = self._context, self._entity, list[str](keys)
        end = time.monotonic() + LONGEST_SETTLE * options.grace
        while True:
            context.say(f"comparing {len(left):,} repaired records of {entity.name}")
            found = run.compare_keys(context, entity, left, options.grace, options.rate, timeout=PATIENCE)
            if not found or len(found) == len(left) or time.monotonic() > end:
                return found
            left = [difference.key for difference in found]

    def _entry(self, key: str, seen: Seen | None) -> Entry:
        """A difference in the shape of what replay settles."""
        sequence, stream = (seen.sequence, self._entity.stream_arn) if seen else (0, "")
        return Entry(
            entity=self._entity.name,
            key=key,
            kind=EntryKind.UPSERT,
            reason="",
            code=0,
            sequence=sequence,
            stream=stream,
            at="",
        )

    def _settler(self, phase: Phase) -> Settler:
        period = self._context.aurora.control(self._context.target.mapping[self._entity.name]).epoch
        return Settler(self._context, self._entity, Unparked(), phase, period)

    def _record(self, lease: Lease, result: str, keys: Sequence[str]) -> None:
        event = Event(
            entity=self._entity.name,
            command=COMMAND,
            result=result,
            operator=lease.lock.holder,
            details={"records": len(keys), "keys": list(keys[:KEYS_TOLD])},
        )
        self._context.journal.record(event)


def _wrong(action: Action) -> str:
    if action in ROWS:
        return "row"
    return "item" if action in QUEUED | {Action.WRITE_ITEM, Action.DELETE_ITEM} else ""


def said(outcomes: Sequence[Outcome]) -> Counter[str]:
    """How many records became what."""
    return Counter(outcome.says if outcome.settled else "stays" for outcome in outcomes)
