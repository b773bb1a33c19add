"""`runbook quarantine`: looks at what the bridge could not apply, brings both sides together, or forgets it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from runbook.aws.outputs import EntityTarget
from runbook.errors import PreconditionError
from runbook.journal import remedies
from runbook.journal.journal import Event, Phase
from runbook.journal.lock import Lease, held
from runbook.quarantine.both_sides import Pair
from runbook.quarantine.entry import Entry
from runbook.quarantine.resolve import Action, Outcome, Settler
from runbook.quarantine.store import EntryStore
from runbook.stack import Context

AT_ONCE = 50  # entries between two notes of what is settled
KEYS_TOLD = 100  # in one line of the history


@dataclass(frozen=True, kw_only=True)
class Intent:
    """What replay would do with an entry; without an action it is refused for now."""

    entry: Entry
    action: Action | None
    refused: str = ""


@dataclass(frozen=True, kw_only=True)
class Exhibit:
    """An entry with its fields on both sides."""

    intent: Intent
    fields: Sequence[Pair]


def bridged(context: Context, entity: EntityTarget) -> bool:
    """Whether the entity has a bridge, and so a quarantine."""
    return bool(context.target.quarantine_table and entity.bridge_mapping_id)


class EntityQuarantine:
    """The quarantine of one entity."""

    def __init__(self, context: Context, entity: EntityTarget) -> None:
        if not bridged(context, entity):
            raise PreconditionError(
                f"{entity.name} has no bridge, and so no quarantine", "See `parts` in the stack's settings."
            )
        self.context = context
        self.entity = entity
        self.store = EntryStore(context, entity)

    def entries(self, keys: Sequence[str] = ()) -> list[Entry]:
        """The entries of these keys, or all of them."""
        return [entry for entry in self.store.entries() if not keys or entry.key in keys]

    @property
    def complete(self) -> bool:
        """Whether the entity's bridge is gone for good, and with it what replay works with."""
        state = self.context.journal.find(self.entity.name)
        return state is not None and state.phase == Phase.COMPLETE

    def plan(self, keys: Sequence[str] = ()) -> list[Intent]:
        """What replay would do now.

        Raises:
            PreconditionError: nothing can be replayed in the present phase.
        """
        found = self.entries(keys)
        if not found:
            return []
        settler = self._settler(self._phase())
        return [Intent(entry=entry, action=settler.action(entry)) for entry in found]

    def exhibit(self, keys: Sequence[str] = ()) -> list[Exhibit]:
        """Entries with both sides as they are now, and what replay would do, if the phase lets it.

        Once the entity is complete there is nothing left to look at but the entries themselves.
        """
        try:
            plan = self.plan(keys)
        except PreconditionError as error:
            plan = [Intent(entry=entry, action=None, refused=error.message) for entry in self.entries(keys)]
        if not plan or self.complete:
            return [Exhibit(intent=intent, fields=()) for intent in plan]
        settler = self._settler(Phase.LEGACY)  # any will do to look
        return [Exhibit(intent=intent, fields=settler.pairs(intent.entry)) for intent in plan]

    def replay(self, keys: Sequence[str] = ()) -> list[Outcome]:
        """Bring both sides of each entry together, under the operator's lock; what fails again stays.

        Raises:
            PreconditionError: nothing can be replayed in the present phase.
            RefusedError: another operator holds the lock.
            FailedError: Aurora does not answer.
        """
        if not self.entries(keys):
            return []
        with self._held("quarantine replay") as lease:
            settler, found, outcomes = self._settler(self._phase()), self.entries(keys), list[Outcome]()
            if not found:
                return []
            self._record(lease, "started", found)
            for start in range(0, len(found), AT_ONCE):
                outcomes += self._some(lease, found[start : start + AT_ONCE], settler)
            stay = [outcome for outcome in outcomes if not outcome.settled]
            self._record(lease, f"{len(outcomes) - len(stay)} settled, {len(stay)} stay", found)
            return outcomes

    def drop(self, keys: Sequence[str] = ()) -> list[Outcome]:
        """Forget entries without applying them. The history tells of each before it is gone.

        Raises:
            RefusedError: another operator holds the lock.
            FailedError: Aurora does not answer; it has to know that the change will not come.
        """
        if not self.entries(keys):
            return []
        with self._held("quarantine drop") as lease:
            found, outcomes = self.entries(keys), list[Outcome]()
            for start in range(0, len(found), KEYS_TOLD):
                some = found[start : start + KEYS_TOLD]
                lease.check()
                self._record(lease, f"dropping {len(some)}", some)
                stay = [] if self.complete else self._note(some)
                kept = {outcome.key for outcome in stay}
                outcomes += self._settled([(entry, "dropped") for entry in some if entry.key not in kept])
                outcomes += stay
            if outcomes:
                gone = sum(outcome.settled for outcome in outcomes)
                self._record(lease, f"{gone} dropped, {len(outcomes) - gone} stay", found)
            return outcomes

    def _note(self, some: Sequence[Entry]) -> list[Outcome]:
        """Note in Aurora that these changes will not come; returns those of which it takes no note."""
        settler = self._settler(Phase.LEGACY)  # any will do: nothing is applied
        return [outcome for entry in some if not (outcome := settler.drop(entry)).settled]

    def _held(self, command: str) -> AbstractContextManager[Lease]:
        return held(self.context.journal, self.entity.name, self.context.clients.operator, command)

    def _record(self, lease: Lease, result: str, found: Sequence[Entry]) -> None:
        details = {
            "entries": len(found),
            "keys": [f"{entry.key} ({entry.kind} {entry.sequence})" for entry in found[:KEYS_TOLD]],
        }
        self.context.journal.record(
            Event(
                entity=self.entity.name,
                command=lease.lock.command,
                result=result,
                operator=lease.lock.holder,
                details=details,
            )
        )

    def _some(self, lease: Lease, found: Sequence[Entry], settler: Settler) -> list[Outcome]:
        """Some entries; what was done is noted also when a later one stops the command."""
        done: list[tuple[Entry, str]] = []
        stay: list[Outcome] = []
        settled: list[Outcome] = []
        try:
            for number, entry in enumerate(found, start=1):
                lease.check()
                self.context.say(f"{entry.key} ({number} of {len(found)})")
                outcome = settler.settle(entry)
                if outcome.settled:
                    done.append((entry, outcome.says))
                else:
                    stay.append(outcome)
        finally:
            settled = self._settled(done)
        return [*settled, *stay]

    def _settled(self, done: Sequence[tuple[Entry, str]]) -> list[Outcome]:
        anew = self.store.remove([entry for entry, _ in done])
        return [
            Outcome(
                entity=self.entity.name,
                key=entry.key,
                settled=entry.key not in anew,
                says=f"{says}; it has failed anew since" if entry.key in anew else says,
            )
            for entry, says in done
        ]

    def _phase(self) -> Phase:
        state = self.context.journal.state(self.entity.name)
        if state.phase in {Phase.LEGACY, Phase.MODERN}:
            return state.phase
        if state.phase == Phase.COMPLETE:
            raise PreconditionError(
                f"{self.entity.name} is complete: its bridge is gone, and with it what replay works with",
                "What is still there can be dropped: "
                f"`runbook quarantine drop --all --entity {self.entity.name} --execute`.",
            )
        raise PreconditionError(
            f"{self.entity.name} is {state.phase}: nobody can say yet which side is the source of truth",
            remedies.first(state),
        )

    def _settler(self, phase: Phase) -> Settler:
        period = self.context.aurora.control(self.context.target.mapping[self.entity.name]).epoch
        return Settler(self.context, self.entity, self.store, phase, period)
