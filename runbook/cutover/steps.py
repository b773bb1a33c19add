"""What the steps of a switch are made of: choices, phases, the gate and its warm-up, and waits that have an end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from functions.aws.retry import poll
from functions.bridge.ownership import Authority
from functions.domain.entities import Entity
from functions.domain.phase import Phase
from runbook.aws import lambda_calls
from runbook.aws.api_gateway import ALL, Routes, Side
from runbook.aws.outputs import EntityTarget
from runbook.aws.stream import Follower
from runbook.checks import adopted, copy, heartbeat
from runbook.checks.check import demand
from runbook.cutover.fence import Fence
from runbook.errors import PreconditionError, RunbookError
from runbook.journal.lock import Lease
from runbook.journal.operation import Step
from runbook.journal.phases import Transition, transition
from runbook.stack import Context

SHORT_QUEUE = 200  # keys in the change queue that copy does in a moment
POLL_SECONDS = 0.02  # between two looks while clients wait
# Between two instances: all at once would take the processors from present requests.
WARM_INTERVAL_SECONDS, WARM_LAST_SECONDS = 0.05, 0.2
API_SECONDS = 29.0  # after which API Gateway has answered its client
LEFT_SECONDS = (
    75.0  # in which a request leaves its writer or is counted no more; a gate's time and a writer's, and more
)


class OperationKind(StrEnum):
    """What an operation is for. The values are kept in the journal."""

    CUTOVER = "cutover"
    ROLLBACK = "rollback"
    COMPLETE = "complete"


class Part(StrEnum):
    """What an operation has to change, of what its command asks for. The values are kept in the journal."""

    READS = "reads"
    WRITES = "writes"
    BOTH = "both"
    ROUTE = "route"  # the phase is right, the route of writes is not
    ROUTES = "routes"  # the phase is right, the routes of reads and writes are not
    FENCE = "fence"  # only the fence is wrong: up in phase legacy
    COMPLETE = "complete"
    READ_ONLY = "read-only"  # the phase is complete, only the triggers that refuse writes are to be added or dropped
    LEFTOVERS = "leftovers"  # the phase is complete, but something of streamback is still there


@dataclass(frozen=True, kw_only=True)
class Choices:
    """How a switch is made.

    Attributes:
        timeout: seconds that a heartbeat, or the bridge, may take before clients are held.
        propagation_wait: seconds that API Gateway gets to spread a changed stage variable.
        hold: seconds that clients are held at most before everything is rolled back.
        warm: how many instances of the gate and the writer to have ready for the requests that were held.
        direct: after the cutover, let public writes go to modern's writer, past the gate.
        force: roll back without waiting for the bridge.
        read_only: `complete` leaves the legacy table read-only.
        fence_modern: roll back behind a policy of the modern table that refuses writers past the gate.
        reads_stay: switch writes although reads are on the other side.
        block_writers: `complete` changes the legacy table even if MySQL blocks its writers meanwhile.
        epoch: legacy's epoch after a rollback.
    """

    timeout: float = heartbeat.TIMEOUT
    propagation_wait: float = 5.0
    hold: float = 10.0
    warm: int = 20
    direct: bool = False
    force: bool = False
    fence_modern: bool = False
    reads_stay: bool = False
    read_only: bool = False
    block_writers: bool = False
    epoch: int = 0


JOURNAL_KEYS = {"timeout": "patience", "propagation_wait": "settle", "epoch": "generation"}  # where they differ


@dataclass(frozen=True, kw_only=True)
class SwitchArguments:
    """What the journal keeps of a switch, to resume it as it was begun."""

    kind: OperationKind
    part: Part
    choices: Choices

    def written(self) -> dict[str, str]:
        choices = {_journal_key(each.name): json.dumps(getattr(self.choices, each.name)) for each in fields(Choices)}
        return {"verb": self.kind.value, "scope": self.part.value, **choices}

    @classmethod
    def read(cls, arguments: Mapping[str, str]) -> SwitchArguments:
        """From the journal; a choice that is missing there has its default, or what the version before did."""
        keys = {each.name: _journal_key(each.name) for each in fields(Choices)}
        known = {name: json.loads(arguments[key]) for name, key in keys.items() if key in arguments}
        choices = Choices(**{"direct": True, **known})
        return cls(kind=OperationKind(arguments["verb"]), part=Part(arguments["scope"]), choices=choices)


def _journal_key(name: str) -> str:
    return JOURNAL_KEYS.get(name, name)


@dataclass
class SwitchRun:
    """One run of one entity's switch: what its steps share, and the steps that several sequences have."""

    context: Context
    entity: EntityTarget
    lease: Lease | None  # None for a plan, whose steps are shown and not done
    choices: Choices
    held_since: float = field(default=0.0, init=False)

    @cached_property
    def fence(self) -> Fence:
        return Fence(self.context, self.entity, self.lease)

    @property
    def described(self) -> Entity:
        return self.context.target.mapping[self.entity.name]

    @property
    def held_lease(self) -> Lease:
        assert self.lease is not None, "steps without a lease are for plans"
        return self.lease

    def follower(self, since: datetime | None) -> Follower:
        """A follower of the entity's stream."""
        return self.context.follower(self.entity, since)

    def follower_of_bridge(self, since: datetime | None, authority: Authority) -> Follower:
        """One that passes over what the bridge never applies: what copy wrote, and what came while disconnected."""
        return self.context.follower(self.entity, since, copied=False, authority=authority)

    def queue_empty(self) -> bool:
        """Whether copy has written all that legacy's writers left in its queue."""
        return self._queue_length(1) == 0

    def queue_short(self) -> bool:
        """Whether copy has so few keys left that clients would hardly wait for them."""
        return self._queue_length(SHORT_QUEUE + 1) <= SHORT_QUEUE

    def _queue_length(self, most: int) -> int:
        queue = self.context.aurora.queue(self.described)
        return self.context.aurora.ask(lambda: queue.length(most))

    def phase(self, phase: Phase, undo: Phase | None = None, *, commit: bool = False) -> Step:
        """Enter a phase."""
        name = f"phase-{phase}"
        return Step(
            name=name,
            says=f"phase {phase}",
            do=lambda: self._enter(transition(phase)),
            unsays=f"phase {undo}" if undo else "",
            undo=(lambda: self._enter(transition(undo, undoes=phase))) if undo else lambda: None,
            done=lambda: self.context.journal.state(self.entity.name).phase == phase,
            commit=commit,
            holds=phase != Phase.COMPLETE,
        )

    def quiet(self, side: Side) -> Step:
        """Wait until no request is inside a writer; the gate lets none in any more."""

        def do() -> None:
            inside = self.context.journal.inside
            self.until(f"requests inside {side}'s writer", lambda: not inside(self.entity.name))

        return Step(name="quiet", says=f"wait until no request is inside {side}'s writer", do=do, holds=True)

    def gate_on(self, past: Side) -> Step:
        """Have public writes go through the gate, none past it to `past`, and instances ready for those to be held.

        Requests pass all the time. Nothing undoes it: the gate sends each request to the source of truth.
        """

        def do() -> None:
            self.put_gate()
            self._warm(self.context.target.gate_function, *self._warmable(past))
            self._outlast(past)
            self._until_left()
            self._demand_followed()

        return Step(
            name="gate",
            says="public writes → gate, until no request is past it; start instances",
            do=do,
            done=lambda: self._goes(Routes(writes=Side.GATE)),
        )

    def writes_to(self, side: Side, *, commit: bool = False) -> Step:
        """Change the route of public writes."""
        return Step(
            name="route",
            says=_says(Routes(writes=side)),
            do=self.put_gate if side == Side.GATE else lambda: self._put_past_gate(side),
            done=lambda: self._goes(Routes(writes=side)),
            commit=commit,
        )

    def reads_to(self, side: Side) -> Step:
        """Change the route of public reads."""
        to = Routes(reads=side)
        return Step(name="reads", says=_says(to), do=lambda: self.send(to), done=lambda: self._goes(to))

    def put_gate(self) -> bool:
        """Route public writes to the gate, and note since when; whether that was new.

        The journal says so before the stage does: killed in between, the next command sees a route that is not as the
        journal has it.
        """
        state, there = self.context.journal.state(self.entity.name), self._goes(Routes(writes=Side.GATE))
        if there and state.gated and state.gated_since:
            return False
        self.write({"gated": True, "gated_since": None})
        if not there:
            self.send(Routes(writes=Side.GATE))
        self.write({"gated_since": time.time()})
        return True

    def _put_past_gate(self, side: Side) -> None:
        self.write({"gated": None, "gated_since": None})
        self.send(Routes(writes=side))

    def _warmable(self, past: Side) -> list[str]:
        """The next writer, if it knows what an event without a request is: an adopted one would take it for one."""
        if self.described.contract:
            return []
        return [self.entity.write_function if past == Side.LEGACY else self.entity.legacy_write_function]

    def _demand_followed(self) -> None:
        """Continue only if an adopted API still calls what the variables name; it may have been deployed anew.

        Raises:
            PreconditionError: a request could go past the gate and meet the fence.
        """
        if self.context.target.api_adopted and adopted.followed(self.context, self.entity):
            demand(adopted.routes(self.context, self.entity))

    def _outlast(self, past: Side) -> None:
        """Wait until API Gateway has spread the route, and a request that took the one before has ended.

        A writer can write for as long as it runs. Streamback's own of legacy may meet the fence, so it matters only
        while a client can receive its answer.
        """
        own_legacy = past == Side.LEGACY and self.described.contract is None
        # why the bound: the clock by which the route was set may have been ahead of this one
        left = min(self._spread_at() - time.time(), self.choices.propagation_wait)
        writer = self.entity.write_function if past == Side.MODERN else self.entity.legacy_write_function
        if own_legacy and left + API_SECONDS <= 0:
            return
        seconds = lambda_calls.timeout_of(self.context.clients.functions, writer)
        left += min(seconds, API_SECONDS) if own_legacy else seconds
        if left > 0:
            self.context.say(
                f"waiting {left:.0f} s for API Gateway to spread the route, and for requests past the gate"
            )
            time.sleep(left)

    def _spread_at(self) -> float:
        return self.context.journal.state(self.entity.name).gated_since + self.choices.propagation_wait

    def _until_left(self) -> None:
        """Wait until each request that is inside now has left: one whose gate died counts until its time has passed.

        Raises:
            PreconditionError: one stays.
        """
        inside, name = self.context.journal.inside, self.entity.name
        before = inside(name)
        if before and not poll(lambda: not before & inside(name), timeout=LEFT_SECONDS, first=POLL_SECONDS):
            raise PreconditionError(
                f"a request may still be inside a writer after {LEFT_SECONDS:g} s",
                "It counts until its writer's timeout has passed. See the gate's log, run it again.",
            )

    def record_reads(self, side: Side) -> Step:
        percent = ALL if side == Side.MODERN else 0
        return Step(
            name="record-reads",
            says=f"{percent}% of reads on modern, in the journal",
            do=lambda: self.write({"reads": percent}),
        )

    def wake_copy(self) -> None:
        """Call copy's lanes at once; should that fail, their schedules do it within a minute.

        The schedules are enabled in phase modern, too, so that copy runs after the commit even if this command is
        killed there. One that is disabled all the same is enabled now, or by the next `copy start`.
        """
        self.held_lease.check()
        try:
            if copy.runs(self.context, self.entity):
                self.context.switch_schedules(self.entity, enabled=True, check=lambda: None)
            self.context.wake_lanes(self.entity)
        except (RunbookError, BotoCoreError, ClientError) as error:
            self.context.say(f"could not call copy's lanes, their schedules do it within a minute: {error}")

    def write(self, changes: dict[str, object]) -> None:
        """Change the entity's state in the journal."""
        self.context.journal.write(self.held_lease.lock, self.entity.name, changes)

    def until(self, what: str, holds: Callable[[], bool], seconds: float = 0) -> None:
        """Wait for something, for so many seconds, or while clients may be held.

        Raises:
            PreconditionError: it did not happen in time.
        """
        timeout = seconds or self.held_since + self.choices.hold - time.monotonic()
        if not poll(holds, timeout=timeout, first=POLL_SECONDS, longest=POLL_SECONDS):
            raise PreconditionError(f"{what} took more than {seconds or self.choices.hold:g} s")

    def _enter(self, to: Transition) -> None:
        """Enter a phase, in the journal and for the gate, if the operation is still at this step."""
        if to.target in {Phase.SWITCHING, Phase.RETURNING}:
            self.held_since = time.monotonic()
        self.context.journal.enter(self.held_lease.lock, self.entity.name, to)

    def send(self, routes: Routes, timeout: float | None = None) -> bool:
        """Change stage variables; whether there was anything to change."""
        return self.context.routing.route(self.entity, routes, self.lease.check if self.lease else None, timeout)

    def _goes(self, to: Routes) -> bool:
        routes = self.context.routing.routes(self.entity)
        return to.reads in {None, routes.reads} and to.writes in {None, routes.writes}

    def _warm(self, *functions: str) -> None:
        """Have as many instances of each function ready as clients may be held at once.

        Each stays occupied until the last one is under way, so that none of them serves twice.
        """
        count = self.choices.warm
        with ThreadPoolExecutor(len(functions) * count or 1) as pool:
            for left in reversed(range(count)):
                event = {"warm": self.entity.name, "seconds": left * WARM_INTERVAL_SECONDS + WARM_LAST_SECONDS}
                for function in functions:
                    pool.submit(self._invoke, function, event)
                time.sleep(WARM_INTERVAL_SECONDS)

    def _invoke(self, function: str, event: Mapping[str, Any]) -> None:
        self.context.clients.functions.invoke(FunctionName=function, Payload=json.dumps(event).encode())


def _says(to: Routes) -> str:
    parts = [f"{what} → {side}" for what, side in (("reads", to.reads), ("writes", to.writes)) if side]
    return "public " + ", ".join(parts)
