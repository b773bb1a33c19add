"""Reads by percentage: the steps that move an entity's share, and who else is in the stage's canary.

API Gateway has one canary percentage for the whole stage, so the entities in it share theirs, and a change of it is
made under a lock of its own besides the entity's: two operators who move two entities at once cannot overlook each
other.
"""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from runbook.aws.api_gateway import ALL
from runbook.aws.outputs import EntityTarget
from runbook.checks.check import Check
from runbook.errors import PreconditionError, RefusedError
from runbook.journal import remedies
from runbook.journal.journal import Event, Journal, Lock, State
from runbook.journal.lock import LEASE, Lease, held
from runbook.journal.operation import Step
from runbook.stack import Context

GATE = "canary"
PATIENCE = 1.2 * LEASE  # seconds; a change takes two at most, and one whose process died is free then
AGAIN = 0.2  # seconds
LOCK = "the canary of the API"  # whose lock this is in the journal; no entity can be called so


@dataclass(frozen=True, kw_only=True)
class Sharing:
    """Who besides an entity is in the canary.

    Attributes:
        percent: of the canary; 0 without others.
        entities: those of this stack.
        foreign: overridden variables that are no entity's reads, or the canary itself when it overrides none.
    """

    percent: int
    entities: Sequence[EntityTarget]
    foreign: Sequence[str]

    @property
    def names(self) -> str:
        """The entities, for people."""
        return ", ".join(each.name for each in self.entities)


@dataclass(frozen=True, kw_only=True)
class Move:
    """A change of an entity's share; kept with its operation in the journal.

    Attributes:
        percent: of the entity's reads that modern shall answer.
        before: what it was.
        shared: whether the other entities in the canary shall come along.
        others: the percentage that those had.
    """

    percent: int
    before: int
    shared: bool = False
    others: int = 0

    def written(self) -> dict[str, str]:
        """As an operation's arguments."""
        return {
            "verb": "cutover",
            "scope": "reads",
            **{key: json.dumps(one) for key, one in vars(self).items()},
        }

    @staticmethod
    def known(arguments: Mapping[str, str]) -> bool:
        """Whether an operation's arguments are those of a move."""
        return "percent" in arguments

    @classmethod
    def read(cls, arguments: Mapping[str, str]) -> Move:
        """From an operation's arguments."""
        names = ("percent", "before", "shared", "others")
        return cls(**{name: json.loads(arguments[name]) for name in names})


def split(percent: int) -> bool:
    """Whether both systems answer."""
    return 0 < percent < ALL


def sharing(context: Context, entity: EntityTarget) -> Sharing:
    """Who is in the canary besides this entity."""
    canary = context.routing.stage().canary
    if canary is None:
        return Sharing(percent=0, entities=(), foreign=())
    overridden = set(canary.overrides) - {entity.reads_variable}
    entities = [one for one in context.target.entities.values() if one.reads_variable in overridden]
    foreign = sorted(overridden - {one.reads_variable for one in entities})
    if not canary.overrides:
        foreign = ["a canary without overrides"]
    return Sharing(percent=round(canary.percent) if overridden else 0, entities=entities, foreign=foreign)


def check(context: Context, entity: EntityTarget, percent: int, *, shared: bool) -> Check:
    """The gate: nobody else's percentage is changed unasked."""
    found = sharing(context, entity)
    value = f"{found.names} at {found.percent}%" if found.entities else "no other entity"
    if found.foreign and split(percent):
        return Check(
            name=GATE,
            ok=False,
            value=", ".join(found.foreign),
            limit="the runbook's own",
            remedy="Something else uses the stage's canary: see `aws apigateway get-stage`, take it away there.",
        )
    alone = not split(percent) or not found.entities or found.percent == percent
    return Check(
        name=GATE,
        ok=alone or shared,
        value=value,
        limit=f"no other entity, or at {percent}%" if not shared else "all entities in it together",
        remedy=f"The API has one percentage: {percent}% would be that of {found.names} too. "
        "With --shared it is changed for all of them.",
    )


def refuse_unshared(context: Context, entity: EntityTarget, percent: int, *, shared: bool) -> None:
    """Stop before others come along unasked.

    Raises:
        RefusedError: naming them and what to do.
    """
    found = check(context, entity, percent, shared=shared)
    if not found.ok:
        raise RefusedError(f"the API's canary has {found.value}; nothing was changed", found.remedy)


def steps(  # noqa: PLR0913  # the last two only where others come along
    context: Context,
    entity: EntityTarget,
    lease: Lease | None,
    percent: int,
    before: int,
    *,
    shared: bool = False,
    others: int = 0,
) -> list[Step]:
    """Let modern answer `percent` of 100 of the entity's public reads, `before` of which it answers now.

    Without a lease they can be shown, not done. With `shared` the other entities in the canary, at `others` percent
    now, come along.
    """
    move = Move(percent=percent, before=before, shared=shared, others=others)
    return _Steps(context, entity, lease, move).all()


def of(context: Context, entity: EntityTarget, lease: Lease | None, arguments: Mapping[str, str]) -> list[Step]:
    """The steps of an operation by its arguments in the journal, those of `Move.written`."""
    return _Steps(context, entity, lease, Move.read(arguments)).all()


@dataclass(frozen=True)
class _Steps:
    context: Context
    entity: EntityTarget
    lease: Lease | None
    move: Move
    _command: str = field(init=False, default="cutover reads --shared")

    def all(self) -> list[Step]:
        """Both steps: the stage, then the journal."""
        with_others = ", and of every other entity in the canary" if self.move.shared else ""
        return [
            Step(
                name="share",
                says=f"{self.move.percent}% of public reads → modern{with_others}",
                do=self._do,
                unsays=f"{self.move.before}% of public reads → modern",
                undo=self._undo,
                done=lambda: self.context.routing.reads_percent(self.entity) == self.move.percent,
                commit=True,
            ),
            Step(
                name="record-share",
                says=f"{self.move.percent}% of reads on modern, in the journal",
                do=self._record,
            ),
        ]

    def _do(self) -> None:
        with self._locked():
            refuse_unshared(self.context, self.entity, self.move.percent, shared=self.move.shared)
            with self._others(split(self.move.percent), self.move.percent):
                self.context.routing.send_reads(self.entity, self.move.percent)

    def _undo(self) -> None:
        if self._untouched():
            return  # it never began: nobody's lock is needed for nothing
        with self._locked(), self._others(split(self.move.others), self.move.others):
            others = self.move.others if self.move.shared and split(self.move.others) else None
            self.context.routing.send_reads(self.entity, self.move.before, others)

    def _untouched(self) -> bool:
        found = sharing(self.context, self.entity)
        if self.context.routing.reads_percent(self.entity) != self.move.before:
            return False
        if not self.move.shared or not found.entities:
            return True
        told = {self.context.journal.state(one.name).reads for one in found.entities}
        return {found.percent, *told} == {self.move.others}

    def _record(self) -> None:
        lease = self._held()
        self.context.journal.write(lease.lock, self.entity.name, {"reads": self.move.percent})

    @contextmanager
    def _locked(self) -> Generator[None]:
        """Hold the canary's own lock."""
        journal, lock = self.context.journal, self._held().lock
        if journal.find(LOCK) is None:
            made = Event(entity=LOCK, command=lock.command, result="first used", operator=lock.holder)
            journal.create(LOCK, "", made)
        with _patiently(journal, lock):
            yield

    @contextmanager
    def _others(self, come: bool, percent: int) -> Generator[None]:  # private
        """Hold the locks of those who come along; after the block their journals tell their percentage."""
        journal, lock = self.context.journal, self._held().lock
        found = sharing(self.context, self.entity).entities if come and self.move.shared else ()
        with ExitStack() as stack:
            leases = [stack.enter_context(held(journal, one.name, lock.holder, lock.command)) for one in found]
            for one in found:
                _demand_settled(journal.state(one.name))
            yield
            for lease in leases:
                self._note(lease, percent)

    def _note(self, lease: Lease, percent: int) -> None:
        if self.context.journal.state(lease.entity).reads == percent:
            return
        event = Event(
            entity=lease.entity,
            command=self._command,
            result="done",
            operator=lease.lock.holder,
            details={"reason": f"{percent}% of reads on modern, together with {self.entity.name}"},
        )
        self.context.journal.write(lease.lock, lease.entity, {"reads": percent}, event)

    def _held(self) -> Lease:
        assert self.lease is not None, "steps without a lease are for plans"
        return self.lease


@contextmanager
def _patiently(journal: Journal, lock: Lock) -> Generator[None]:
    """Hold the canary's lock, as soon as whoever holds it has made their change."""
    deadline = time.monotonic() + PATIENCE
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(held(journal, LOCK, lock.holder, lock.command))
                break
            except RefusedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(AGAIN)
        yield


def _demand_settled(state: State) -> None:
    if state.operation is not None:
        raise PreconditionError(
            f"`{state.operation.command}` of {state.entity} was left half-done",
            remedies.first(state),
        )
