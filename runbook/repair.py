"""`runbook verify --repair`: writes the wrong side of each record that differs from the right side.

The phase decides which side is right, by the rule of `runbook.quarantine.resolve`: in phase modern the row is written
from the item, in phase legacy copy writes the item from the row. Nothing is written from what the comparison has read:
both sides are read again under the operator's lock, by the code that the bridge and copy use.

In phase modern the row gets the sequence of the item's last record in the stream, if the stream still shows one. So a
later `rollback` or `complete` does not wait for a record that is repaired already. A run may be killed anywhere: each
record is repaired on its own, and a repaired one does not differ the next time.
"""

import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from functions.domain.phase import Phase
from runbook.aws.outputs import EntityTarget
from runbook.aws.stream import Seen
from runbook.checks import plans
from runbook.checks.check import Check, demand
from runbook.checks.plans import CheckScope
from runbook.errors import PreconditionError
from runbook.journal.lock import Lease
from runbook.journal.operation import first
from runbook.quarantine.entry import Entry, EntryKind
from runbook.quarantine.resolve import ITEM_ACTIONS, QUEUE_ACTIONS, ROW_ACTIONS, TIMEOUT, Action, Resolution, Resolver
from runbook.stack import Context
from runbook.verify import run
from runbook.verify.compare import Difference
from runbook.verify.run import Verification, VerifyOptions

COMMAND = "verify --repair"
AT_ONCE = 8  # records that are repaired at the same time
CHUNK = 100  # records that are compared again before they are repaired
KEYS_SHOWN = 100  # in one line of the history
MOST_GRACES = 6  # graces that copy gets, as long as it makes progress


@dataclass(frozen=True, kw_only=True)
class RepairPlan:
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
        resolutions: of each record that still differed when its turn came.
        left: what differs afterwards.
        more: more differed than was listed, and so repaired.
    """

    resolutions: Sequence[Resolution]
    left: Sequence[Difference]
    more: bool = False

    @property
    def clean(self) -> bool:
        return not self.left and not self.more


class Unkept:
    """Stores no reasons: what cannot be repaired is reported and stays a difference."""

    def keep(self, entry: Entry, reason: str, code: int) -> None: ...


@dataclass(frozen=True)
class Repair:
    context: Context
    entity: EntityTarget

    def phase(self) -> Phase:
        """The phase, if it decides which side is right.

        Raises:
            PreconditionError: it does not, or the entity is complete.
        """
        state = self.context.journal.state(self.entity.name)
        if state.operation or state.phase in {Phase.SWITCHING, Phase.RETURNING}:
            raise PreconditionError(
                f"{self.entity.name} is {state.phase}, with a switch under way: the source of truth is not decided yet",
                first(state),
            )
        if state.phase == Phase.COMPLETE:
            raise PreconditionError(f"{self.entity.name} is complete: its legacy table is no longer kept up to date")
        return state.phase

    def checks(self, *, send_heartbeat: bool = False) -> list[Check]:
        """Whether the bridge works. If it does not, records may differ only because it has not applied them yet."""
        return plans.checks(self.context, self.entity, CheckScope.REPAIR, send_heartbeat=send_heartbeat)

    def plan(self, differences: Sequence[Difference]) -> list[RepairPlan]:
        """What would be done now about each difference.

        Raises:
            PreconditionError: nothing can be repaired in the present phase.
        """
        resolver = self._resolver(self.phase())
        with ThreadPoolExecutor(AT_ONCE) as pool:
            actions = pool.map(resolver.action, [self._entry(each.key, None) for each in differences])
            return [
                RepairPlan(difference=each, action=action, wrong=_wrong(action))
                for each, action in zip(differences, actions, strict=True)
            ]

    def execute(self, found: Verification, options: VerifyOptions) -> Repaired:
        """Repair each difference that is still there, then compare those records again.

        Raises:
            PreconditionError: nothing can be repaired in the present phase, or the bridge does not work.
            RefusedError: another operator holds the lock.
            FailedError: Aurora does not answer; what was done stays done.
        """
        keys = [difference.key for difference in found.differences]
        if not keys:
            return Repaired(resolutions=(), left=())
        context = self.context
        with context.held(self.entity, COMMAND) as lease:
            phase = self.phase()
            demand(self.checks(send_heartbeat=True))
            _record(lease, "started", keys)
            try:
                resolutions = self._resolve(lease, phase, keys, options.rate)
            except BaseException:
                _record(lease, "stopped", keys)
                raise
            left = self._compared([one.key for one in resolutions], options)
            _record(lease, f"{len(keys) - len(left)} are equal, {len(left)} differ", keys)
        if not found.more:
            run.note(context, found, len(left))
        return Repaired(resolutions=resolutions, left=left, more=found.more)

    def _resolve(self, lease: Lease, phase: Phase, keys: Sequence[str], rate: float) -> list[Resolution]:
        resolver, seen, done = self._resolver(phase, lease), self._seen(phase, keys), list[Resolution]()

        def resolve(key: str) -> Resolution:
            lease.check()
            return resolver.resolve(self._entry(key, seen.get(key)))

        with ThreadPoolExecutor(AT_ONCE) as pool:
            for start in range(0, len(keys), CHUNK):
                self.context.say(f"repairing {self.entity.name}: {start:,} of {len(keys):,} records")
                some = keys[start : start + CHUNK]
                differing = run.compare_keys(self.context, self.entity, some, 0, rate, timeout=TIMEOUT)
                done += pool.map(resolve, [difference.key for difference in differing])
        return done

    def _seen(self, phase: Phase, keys: Sequence[str]) -> dict[str, Seen]:
        """The last records of these keys in the stream, which only a row that is written needs."""
        if phase != Phase.MODERN:
            return {}
        follower = self.context.follower(self.entity, wanted=frozenset(keys))
        follower.reach(run.STREAM_TIMEOUT)
        return follower.take()

    def _compared(self, keys: Sequence[str], options: VerifyOptions) -> Sequence[Difference]:
        """What differs after the grace. As long as copy makes progress, it gets more time."""
        context, entity, left = self.context, self.entity, list[str](keys)
        end = time.monotonic() + MOST_GRACES * options.grace
        while True:
            context.say(f"comparing {len(left):,} repaired records of {entity.name}")
            found = run.compare_keys(context, entity, left, options.grace, options.rate, timeout=TIMEOUT)
            if not found or len(found) == len(left) or time.monotonic() > end:
                return found
            left = [difference.key for difference in found]

    def _entry(self, key: str, seen: Seen | None) -> Entry:
        sequence, stream = (seen.sequence, self.entity.stream_arn) if seen else (0, "")
        return Entry(entity=self.entity.name, key=key, kind=EntryKind.UPSERT, sequence=sequence, stream=stream)

    def _resolver(self, phase: Phase, lease: Lease | None = None) -> Resolver:
        return Resolver(self.context, self.entity, Unkept(), phase, lease)


def _record(lease: Lease, result: str, keys: Sequence[str]) -> None:
    lease.record(result, {"records": len(keys), "keys": list(keys[:KEYS_SHOWN])})


def _wrong(action: Action) -> str:
    if action in ROW_ACTIONS:
        return "row"
    return "item" if action in QUEUE_ACTIONS | ITEM_ACTIONS else ""


def summary(resolutions: Sequence[Resolution]) -> Counter[str]:
    """How many records became what."""
    return Counter(one.says if one.resolved else "stays" for one in resolutions)
