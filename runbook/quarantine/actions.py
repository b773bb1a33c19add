"""`runbook quarantine`: shows what the bridge could not apply, replays it, or drops it."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from functions.domain.phase import Phase
from runbook.aws.outputs import EntityTarget
from runbook.errors import PreconditionError
from runbook.journal.lock import Lease
from runbook.journal.operation import first
from runbook.quarantine.entry import Entry
from runbook.quarantine.legacy_function import legacy_calls
from runbook.quarantine.resolve import Action, FieldPair, Resolution, Resolver
from runbook.quarantine.store import EntryStore
from runbook.stack import Context

AT_ONCE = 50  # entries that are resolved before they are removed
KEYS_SHOWN = 100  # in one line of the history


@dataclass(frozen=True, kw_only=True)
class EntryPlan:
    """What replay would do with an entry; without an action it is refused for now."""

    entry: Entry
    action: Action | None
    refused: str = ""


@dataclass(frozen=True, kw_only=True)
class EntryView:
    """An entry with its fields on both sides."""

    plan: EntryPlan
    fields: Sequence[FieldPair]


def bridged(context: Context, entity: EntityTarget) -> bool:
    return bool(context.target.quarantine_table and entity.bridge_mapping_id)


class EntityQuarantine:
    def __init__(self, context: Context, entity: EntityTarget) -> None:
        if not bridged(context, entity):
            raise PreconditionError(
                f"{entity.name} has no bridge, and so no quarantine", "See `parts` in the stack's settings."
            )
        self.context = context
        self.entity = entity
        self.store = EntryStore(context, entity)

    def entries(self, keys: Sequence[str] = ()) -> list[Entry]:
        return [entry for entry in self.store.entries() if not keys or entry.key in keys]

    @property
    def complete(self) -> bool:
        """Whether `runbook complete` has removed the entity's bridge, which replay needs."""
        state = self.context.journal.find(self.entity.name)
        return state is not None and state.phase == Phase.COMPLETE

    def plan(self, keys: Sequence[str] = ()) -> list[EntryPlan]:
        """What replay would do now.

        Raises:
            PreconditionError: nothing can be replayed in the present phase.
        """
        found = self.entries(keys)
        if not found:
            return []
        resolver = self._resolver(self._phase())
        return [EntryPlan(entry=entry, action=resolver.action(entry)) for entry in found]

    def views(self, keys: Sequence[str] = ()) -> list[EntryView]:
        """Entries with both sides as they are now, and what replay would do, if the phase allows it.

        Once the entity is complete, only the entries themselves are left.
        """
        try:
            plans = self.plan(keys)
        except PreconditionError as error:
            plans = [EntryPlan(entry=entry, action=None, refused=error.message) for entry in self.entries(keys)]
        if not plans or self.complete:
            return [EntryView(plan=plan, fields=()) for plan in plans]
        resolver = self._resolver(Phase.LEGACY)  # in any phase, because it only reads
        return [EntryView(plan=plan, fields=resolver.pairs(plan.entry)) for plan in plans]

    def replay(self, keys: Sequence[str] = ()) -> list[Resolution]:
        """Bring both sides of each entry together, under the operator's lock; what fails again stays.

        Raises:
            PreconditionError: nothing can be replayed in the present phase.
            RefusedError: another operator holds the lock.
            FailedError: Aurora does not answer.
        """
        if not self.entries(keys):
            return []
        with self._held("quarantine replay") as lease:
            resolver, found, resolutions = self._resolver(self._phase(), lease), self.entries(keys), list[Resolution]()
            if not found:
                return []
            _record(lease, "started", found)
            for start in range(0, len(found), AT_ONCE):
                resolutions += self._resolve_some(lease, found[start : start + AT_ONCE], resolver)
            done = sum(one.resolved for one in resolutions)
            _record(lease, f"{done} resolved, {len(resolutions) - done} stay", found)
            return resolutions

    def drop(self, keys: Sequence[str] = ()) -> list[Resolution]:
        """Remove entries without applying them. The history shows each before it is removed.

        Raises:
            RefusedError: another operator holds the lock.
            FailedError: Aurora does not answer; it has to know that the change will not come.
        """
        if not self.entries(keys):
            return []
        with self._held("quarantine drop") as lease:
            found, resolutions = self.entries(keys), list[Resolution]()
            for start in range(0, len(found), KEYS_SHOWN):
                some = found[start : start + KEYS_SHOWN]
                lease.check()
                _record(lease, f"dropping {len(some)}", some)
                stay = [] if self.complete else self._pass_over(some)
                kept = {one.key for one in stay}
                resolutions += self._remove([(entry, "dropped") for entry in some if entry.key not in kept])
                resolutions += stay
            if resolutions:
                done = sum(one.resolved for one in resolutions)
                _record(lease, f"{done} dropped, {len(resolutions) - done} stay", found)
            return resolutions

    def _pass_over(self, some: Sequence[Entry]) -> list[Resolution]:
        """Register in Aurora that these changes will not come; returns those for which that failed."""
        resolver = self._resolver(Phase.LEGACY)  # in any phase, because nothing is applied
        return [one for entry in some if not (one := resolver.drop(entry)).resolved]

    def _held(self, command: str) -> AbstractContextManager[Lease]:
        return self.context.held(self.entity, command)

    def _resolve_some(self, lease: Lease, found: Sequence[Entry], resolver: Resolver) -> list[Resolution]:
        """Some entries; those that are resolved are removed even if a later one stops the command."""
        done: list[tuple[Entry, str]] = []
        stay: list[Resolution] = []
        removed: list[Resolution] = []
        try:
            for number, entry in enumerate(found, start=1):
                lease.check()
                self.context.say(f"{entry.key} ({number} of {len(found)})")
                one = resolver.resolve(entry)
                if one.resolved:
                    done.append((entry, one.says))
                else:
                    stay.append(one)
        finally:
            removed = self._remove(done)
        return [*removed, *stay]

    def _remove(self, done: Sequence[tuple[Entry, str]]) -> list[Resolution]:
        anew = self.store.remove([entry for entry, _ in done])
        return [
            Resolution(
                entity=self.entity.name,
                key=entry.key,
                resolved=entry.key not in anew,
                says=f"{says}; it has failed again since" if entry.key in anew else says,
            )
            for entry, says in done
        ]

    def _phase(self) -> Phase:
        state, name = self.context.journal.state(self.entity.name), self.entity.name
        if state.phase in {Phase.LEGACY, Phase.MODERN}:
            return state.phase
        if state.phase == Phase.COMPLETE:
            raise PreconditionError(
                f"{name} is complete: the bridge, which replay needs, is gone",
                f"Drop what is left: `runbook quarantine drop --all --entity {name} --execute`.",
            )
        raise PreconditionError(f"{name} is {state.phase}: the source of truth is not decided yet", first(state))

    def _resolver(self, phase: Phase, lease: Lease | None = None) -> Resolver:
        return Resolver(self.context, self.entity, self.store, phase, lease, legacy_calls(self.context, self.entity))


def _record(lease: Lease, result: str, found: Sequence[Entry]) -> None:
    keys = [f"{entry.key} ({entry.kind} {entry.sequence})" for entry in found[:KEYS_SHOWN]]
    lease.record(result, {"entries": len(found), "keys": keys})
