"""What the steps of a switch are made of: choices, phases, routes, the gate's warm-up, and waits that have an end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from functions.aws.retry import poll
from functions.domain.entities import Entity
from runbook.aws.api_gateway import ALL, Routes, Side
from runbook.aws.outputs import EntityTarget
from runbook.aws.stream import Follower
from runbook.checks import heartbeat
from runbook.cutover.fence import Fence
from runbook.errors import PreconditionError, RunbookError
from runbook.journal.journal import Phase
from runbook.journal.lock import Lease
from runbook.journal.operation import Step
from runbook.journal.phases import Transition, transition
from runbook.stack import Context

SHORT_QUEUE = 200  # keys in the change queue that copy does in a moment
POLL_SECONDS = 0.02  # between two looks while clients wait
WARM_INTERVAL_SECONDS = 0.1  # between two instances: all at once would take the processors from present requests


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
    LEFTOVERS = "leftovers"  # the phase is complete, but something of streamback is still there


@dataclass(frozen=True, kw_only=True)
class Choices:
    """How a switch is made.

    Attributes:
        timeout: seconds that a heartbeat, or the bridge, may take before clients are held.
        propagation_wait: seconds that API Gateway gets to spread a changed stage variable.
        hold: seconds that clients are held at most before everything is put back.
        warm: how many instances of the gate and the writer to have ready for the requests that were held.
        force: roll back without waiting for the bridge.
        epoch: legacy's epoch after a rollback.
    """

    timeout: float = heartbeat.TIMEOUT
    propagation_wait: float = 5.0
    hold: float = 10.0
    warm: int = 20
    force: bool = False
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
        """From the journal; a choice that is missing there has its default."""
        keys = {each.name: _journal_key(each.name) for each in fields(Choices)}
        choices = Choices(**{name: json.loads(arguments[key]) for name, key in keys.items() if key in arguments})
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
        return Fence(self.context, self.entity)

    @property
    def described(self) -> Entity:
        return self.context.target.mapping[self.entity.name]

    @property
    def held_lease(self) -> Lease:
        assert self.lease is not None, "steps without a lease are for plans"
        return self.lease

    def follower(self, since: datetime | None, *, copied: bool = True) -> Follower:
        """A follower of the entity's stream; without `copied` it passes over what copy wrote."""
        return self.context.follower(self.entity, since, copied=copied)

    def queue_empty(self) -> bool:
        """Whether copy has written all that legacy's writers left in its queue."""
        return self._queue_length(1) == 0

    def queue_short(self) -> bool:
        """Whether copy has so few keys left that clients would hardly wait for them."""
        return self._queue_length(SHORT_QUEUE + 1) <= SHORT_QUEUE

    def _queue_length(self, most: int) -> int:
        queue = self.context.aurora.queue(self.described)
        return self.context.aurora.ask(lambda: queue.length(most))

    def phase(self, phase: Phase, undo: Phase | None = None, *, commit: bool = False, empty: bool = False) -> Step:
        """Enter a phase; `empty` when no request can be inside modern's writer, whatever the gate's count is."""
        name = f"phase-{phase}"
        return Step(
            name=name,
            says=f"phase {phase}",
            do=lambda: self._enter(transition(phase), empty=empty),
            unsays=f"phase {undo}" if undo else "",
            undo=(lambda: self._enter(transition(undo, undoes=phase))) if undo else lambda: None,
            done=lambda: self.context.journal.state(self.entity.name).phase == phase,
            commit=commit,
        )

    def route(self, to: Routes, back: Routes | None = None, name: str = "route", *, commit: bool = False) -> Step:
        """Change stage variables; `back` undoes it."""
        return Step(
            name=name,
            says=_says(to),
            do=lambda: self.send(to),
            unsays=_says(back) if back else "",
            undo=lambda: self.send(back) if back else False,
            done=lambda: self._goes(to),
            commit=commit,
        )

    def gate_on(self, back: Side, writer: str) -> Step:
        """Put the gate before the writes of this side, with instances ready for all requests that will be held."""

        def do() -> None:
            self._warm(self.context.target.gate_function)
            wait = self.choices.propagation_wait if self.send(Routes(writes=Side.GATE)) else 0.0
            spread = time.monotonic() + wait
            if wait:
                self.context.say(f"waiting {wait:g} s for API Gateway to spread the route")
            self._warm(writer)
            time.sleep(max(0.0, spread - time.monotonic()))

        return replace(
            self.route(Routes(writes=Side.GATE), Routes(writes=back), "gate"),
            says=f"public writes → gate, which passes them to {back}",
            do=do,
        )

    def record_reads(self, side: Side) -> Step:
        percent = ALL if side == Side.MODERN else 0
        return Step(
            name="record-reads",
            says=f"{percent}% of reads on modern, in the journal",
            do=lambda: self.write({"reads": percent}),
        )

    def wake_copy(self) -> None:
        """Call copy's lanes at once; should that fail, their schedules do it within a minute."""
        try:
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

    def _enter(self, to: Transition, *, empty: bool = False) -> None:
        """Enter a phase, in the journal and for the gate, if the operation is still at this step."""
        self.context.journal.enter(self.held_lease.lock, self.entity.name, to, empty=empty)
        if to.target in {Phase.SWITCHING, Phase.RETURNING}:
            self.held_since = time.monotonic()

    def send(self, routes: Routes) -> bool:
        """Change stage variables; whether there was anything to change."""
        return self.context.routing.route(self.entity, routes, self.lease.check if self.lease else None)

    def _goes(self, to: Routes) -> bool:
        routes = self.context.routing.routes(self.entity)
        return to.reads in {None, routes.reads} and to.writes in {None, routes.writes}

    def _warm(self, function: str) -> None:
        """Have as many instances of a function ready as clients may be held at once.

        Each stays occupied until the last one is under way, so that none of them serves twice.
        """
        count = self.choices.warm
        event = {"warm": self.entity.name, "seconds": count * WARM_INTERVAL_SECONDS}
        with ThreadPoolExecutor(count or 1) as pool:
            for _ in range(count):
                pool.submit(self._invoke, function, event)
                time.sleep(WARM_INTERVAL_SECONDS)

    def _invoke(self, function: str, event: Mapping[str, Any]) -> None:
        self.context.clients.functions.invoke(FunctionName=function, Payload=json.dumps(event).encode())


def _says(to: Routes) -> str:
    parts = [f"{what} → {side}" for what, side in (("reads", to.reads), ("writes", to.writes)) if side]
    return "public " + ", ".join(parts)
