"""What the sequences for writes are made of: phases, routes, the gate's warming, waiting with an end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from runbook.aws.api_gateway import Routes, Side
from runbook.aws.outputs import EntityTarget
from runbook.aws.stream import Follower
from runbook.checks import heartbeat
from runbook.cutover.fence import Fence
from runbook.errors import PreconditionError
from runbook.journal.journal import Phase, Place
from runbook.journal.lock import Lease
from runbook.journal.operation import Step
from runbook.stack import Context

SHORT = 200  # keys in copy's queue, the work of a moment
POLL = 0.02  # seconds between two looks while clients wait
ALL = 100  # percent of reads
WARMED_EVERY = 0.1  # seconds between two instances: all at once would take the processors from those who ask now


@dataclass(frozen=True, kw_only=True)
class Choices:
    """How a switch is made; kept with the operation in the journal, so that it is finished as it was begun.

    Attributes:
        patience: seconds that a probe, or the bridge, may take before clients are held.
        settle: seconds that API Gateway gets to spread a changed stage variable.
        hold: seconds that clients are held at most before everything is put back.
        warm: how many instances of the gate and the writer to have ready for those who were held.
        force: roll back without waiting for the bridge.
        generation: legacy's period after a rollback.
    """

    patience: float = heartbeat.TIMEOUT
    settle: float = 5.0
    hold: float = 10.0
    warm: int = 20
    force: bool = False
    generation: int = 0

    def written(self) -> dict[str, str]:
        """As the journal keeps them."""
        return {each.name: json.dumps(getattr(self, each.name)) for each in fields(self)}

    @classmethod
    def read(cls, arguments: Mapping[str, str]) -> Choices:
        """From an operation's arguments; what is missing has its default."""
        return cls(**{each.name: json.loads(arguments[each.name]) for each in fields(cls) if each.name in arguments})


@dataclass
class Parts:
    """Steps and waits of one entity's switch; one instance lives as long as the run of the sequence."""

    context: Context
    entity: EntityTarget
    lease: Lease | None
    choices: Choices
    held_since: float = field(default=0.0, init=False)

    @cached_property
    def fence(self) -> Fence:
        """The entity's fence."""
        return Fence(self.context, self.entity)

    def queue_empty(self) -> bool:
        """Whether copy has written all that legacy's writers left in its queue."""
        return self._waiting(1) == 0

    def queue_short(self) -> bool:
        """Whether copy has so few keys left that nobody would wait for them."""
        return self._waiting(SHORT + 1) <= SHORT

    def _waiting(self, most: int) -> int:
        queue = self.context.aurora.queue(self.context.target.mapping[self.entity.name])
        return self.context.aurora.ask(lambda: queue.length(most))

    def follower(self, since: datetime | None, *, copied: bool = True) -> Follower:
        """A follower of the entity's stream; without `copied` it passes over what copy wrote."""
        return Follower(self.context, self.entity, since, copied=copied)

    def phase(self, phase: Phase, undo: Phase | None = None, *, commit: bool = False, empty: bool = False) -> Step:
        """Enter a phase; `empty` when nobody can be inside modern's writer, whatever the gate's count is."""
        name = f"phase-{phase}"
        return Step(
            name=name,
            says=f"phase {phase}",
            do=lambda: self.enter(phase, Place(name, "do"), empty=empty),
            unsays=f"phase {undo}" if undo else "",
            undo=(lambda: self.enter(undo, Place(name, "undo"))) if undo else lambda: None,
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
        """Put the gate before the writes of this side, with instances ready for all who will be held."""

        def do() -> None:
            self.warm(self.context.target.gate_function)
            settle = self.choices.settle if self.send(Routes(writes=Side.GATE)) else 0.0
            spread = time.monotonic() + settle
            if settle:
                self.context.say(f"letting API Gateway spread it for {settle:g} s")
            self.warm(writer)
            time.sleep(max(0.0, spread - time.monotonic()))

        return replace(
            self.route(Routes(writes=Side.GATE), Routes(writes=back), "gate"),
            says=f"public writes → gate, which passes them to {back}",
            do=do,
        )

    def record_reads(self, side: Side) -> Step:
        """Note in the journal where reads go."""
        percent = ALL if side == Side.MODERN else 0
        return Step(
            name="record-reads",
            says=f"{percent}% of reads on modern, in the journal",
            do=lambda: self.write({"reads": percent}),
        )

    def enter(self, phase: Phase, place: Place, *, empty: bool = False) -> None:
        """Enter a phase, in the journal and for the gate, if the operation is at this place still."""
        assert self.lease is not None, "steps without a lease are for plans"
        self.context.journal.enter(self.lease.lock, self.entity.name, phase, place, empty=empty)
        if phase in {Phase.SWITCHING, Phase.RETURNING}:
            self.held_since = time.monotonic()

    def send(self, routes: Routes) -> bool:
        """Change stage variables; whether there was anything to change."""
        return self.context.routing.route(self.entity, routes, self.lease.check if self.lease else None)

    def write(self, changes: dict[str, object]) -> None:
        """Change the entity's state in the journal."""
        assert self.lease is not None, "steps without a lease are for plans"
        self.context.journal.write(self.lease.lock, self.entity.name, changes)

    def until(self, what: str, holds: Callable[[], bool], seconds: float = 0) -> None:
        """Wait for something, for so many seconds, or while clients may be held.

        Raises:
            PreconditionError: it does not come about.
        """
        deadline = time.monotonic() + seconds if seconds else self.held_since + self.choices.hold
        while not holds():
            if time.monotonic() > deadline:
                limit = seconds or self.choices.hold
                raise PreconditionError(f"{what} took more than {limit:g} s")
            time.sleep(POLL)

    def warm(self, function: str) -> None:
        """Have as many instances of a function ready as clients may be held at once.

        Each stays occupied until the last one is under way, so that none of them serves twice.
        """
        count = self.choices.warm
        event = {"warm": self.entity.name, "seconds": count * WARMED_EVERY}
        with ThreadPoolExecutor(count or 1) as pool:
            for _ in range(count):
                pool.submit(self._invoke, function, event)
                time.sleep(WARMED_EVERY)

    def _invoke(self, function: str, event: Mapping[str, Any]) -> None:
        self.context.clients.functions.invoke(FunctionName=function, Payload=json.dumps(event).encode())

    def _goes(self, to: Routes) -> bool:
        routes = self.context.routing.routes(self.entity)
        return to.reads in {None, routes.reads} and to.writes in {None, routes.writes}


def other(side: Side) -> Side:
    """The side across."""
    return Side.LEGACY if side == Side.MODERN else Side.MODERN


def _says(to: Routes) -> str:
    parts = [f"{what} → {side}" for what, side in (("reads", to.reads), ("writes", to.writes)) if side]
    return "public " + ", ".join(parts)
