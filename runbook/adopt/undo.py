"""`runbook adopt undo`: restores what `runbook adopt` has changed, by the values that the journal kept.

What answers a complete entity stays: its integrations name modern's functions then, and never legacy's again. The order
is the reverse: the integrations, the deployment, and after the time that API Gateway needs to spread it, the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

from functions.aws.permissions import source_of
from functions.aws.rest_api import ApiMethod, variable_of
from functions.domain import names
from functions.domain.phase import Phase
from runbook.adopt.changes import (
    DOCS,
    AdoptionChange,
    AdoptionLook,
    AdoptionPlan,
    Leases,
    deploy,
    deployment_change,
    description,
    integration_change,
    literal,
    locked,
    make,
    note,
    ours,
    refuse,
    switch_stream,
    undeployed,
)
from runbook.aws.outputs import EntityTarget
from runbook.checks import adopted, stream
from runbook.errors import PreconditionError
from runbook.journal import adopted as records
from runbook.journal.adopted import AdoptedParts
from runbook.journal.state import State
from runbook.stack import Context

COMMAND = "adopt undo"
OFF: Any = {"StreamEnabled": False}


@dataclass(frozen=True)
class AdoptUndo:
    """Of the whole API, because its entities share the deployment.

    Args:
        spread: seconds that API Gateway gets to spread the deployment.
        pending: deploy what is changed in the API and not deployed yet along, where a new deployment is needed.
    """

    context: Context
    spread: float
    pending: bool = False

    def plan(self) -> AdoptionPlan:
        """Look; nothing changes.

        Raises:
            PreconditionError: an entity is being migrated.
        """
        look = _Look(self.context, self.spread, self.pending)
        return AdoptionPlan(changes=look.changes(), notes=look.notes())

    def execute(self) -> AdoptionPlan:
        """Restore everything, and forget the values before; what was restored.

        Raises:
            PreconditionError: an entity is being migrated; nothing was changed.
            RefusedError: another operator holds a lock.
        """
        entities = list(self.context.target.entities.values())
        with locked(self.context, entities, COMMAND) as leases:
            look = _Look(self.context, self.spread, self.pending)
            changes, notes = look.changes(), look.notes()
            make(self.context, changes, leases)
            if changes:
                note(leases, changes)
            self._forget(look, leases)
        return AdoptionPlan(changes=changes, notes=notes)

    def _forget(self, look: _Look, leases: Leases) -> None:
        """Remove the records, but for those of a table whose stream cannot be switched off yet."""
        for name in look.kept.keys() - look.waiting.keys():
            records.remove(self.context.journal, leases[name])
        for name in look.waiting:
            records.write(self.context.journal, leases[name], AdoptedParts(stream=True))
        if records.stage(self.context.journal):
            records.remove(self.context.journal, leases[records.API])


@dataclass(frozen=True)
class _Look(AdoptionLook):
    """And what must be restored."""

    spread: float
    pending: bool

    @cached_property
    def kept(self) -> Mapping[str, AdoptedParts]:
        found = {name: records.parts(self.context.journal, name) for name in self.context.target.entities}
        return {name: parts for name, parts in found.items() if parts}

    @cached_property
    def entities(self) -> list[EntityTarget]:
        return [self.context.target.entity(name) for name in self.kept]

    @cached_property
    def complete(self) -> frozenset[str]:
        states = {name: self.context.journal.state(name) for name in self.kept}
        return frozenset(name for name, state in states.items() if state.phase == Phase.COMPLETE)

    def changes(self) -> list[AdoptionChange]:
        """In the order in which no request fails."""
        refuse([problem for name in self.kept for problem in self._problems(name)])
        found: list[AdoptionChange] = []
        if self.context.target.api_adopted and self.kept:
            refuse(list(self.canary_problems()))
            found = [change for each in self.entities for change in self._integrations(each)]
            found += self._deployment()
            rest = [change for each in self.entities for change in self._variables(each)]
            found += self._after_a_while(rest)
            found += [change for each in self.entities for change in self._permissions(each)]
            found += self._unused()
        return [*found, *(change for each in self.entities for change in self._stream(each))]

    def notes(self) -> list[str]:
        """What stays."""
        kept = [
            f"{name} is complete: its methods name {', '.join(dict.fromkeys(self._modern(name).values()))}, which API "
            "Gateway may go on calling"
            for name in sorted(self.complete)
        ]
        return kept + [
            f"the stream of {self.context.target.entity(name).modern_table} stays on: {reader} reads it. "
            "Remove the part bridge, `pulumi up`, and run this command again"
            for name, reader in self.waiting.items()
        ]

    def _problems(self, name: str) -> Iterator[str]:
        state = self.context.journal.state(name)
        if state.operation:
            yield f"`{state.operation.command}` of {name} was interrupted: run it again first"
        elif state.phase not in {Phase.LEGACY, Phase.COMPLETE}:
            yield f"{name} is in phase {state.phase}: `runbook rollback --entity {name} --execute` or `complete` first"
        elif state.phase == Phase.LEGACY:
            yield from self._in_use(name, state)

    def _in_use(self, name: str, state: State) -> Iterator[str]:
        if state.reads:
            back = f"`runbook rollback reads --entity {name} --execute`"
            yield f"{state.reads}% of the reads of {name} are on modern: {back} first"
        copy = self.context.journal.find_record(name, names.COPY_RECORD)
        if copy or state.gated:
            yield (
                f"copy of {name} was started: `runbook copy stop --remove-triggers --entity {name}` first, which takes "
                "the gate and the triggers out"
            )

    def _modern(self, name: str) -> dict[str, str]:
        """The functions that a complete entity's variables named, by variable."""
        entity = self.context.target.entity(name)
        return {entity.reads_variable: entity.read_function, entity.writes_variable: entity.write_function}

    def _mine(self, entity: EntityTarget, methods: Mapping[str, ApiMethod]) -> Iterator[tuple[str, str, str]]:
        """The methods that follow a variable of it, with that and their URI before; one that others have set stays.

        By the record and not by entities.toml, which may have changed since.
        """
        for key, before in self.kept[entity.name].uris.items():
            variable = variable_of(methods[key].uri) if key in methods else ""
            if variable in self._modern(entity.name):
                yield key, variable, before

    def _integrations(self, entity: EntityTarget) -> Iterator[AdoptionChange]:
        for key, variable, before in self._mine(entity, self.api.live):
            complete = entity.name in self.complete
            uri = literal(before, self._modern(entity.name)[variable]) if complete else before
            yield integration_change(self.api, key, self.api.live[key], uri)

    def _deployment(self) -> list[AdoptionChange]:
        """None where the stage serves no method that follows its variable."""
        if not any(True for each in self.entities for _ in self._mine(each, self.api.deployed)):
            return []
        if before := self._before():
            return [deployment_change(self.api, "", partial(self._serve, before), before)]
        pending = undeployed(self.api, self.entities)
        if pending and not self.pending:
            raise PreconditionError(
                "nothing was changed: a new deployment is needed, and the API has changes that are not deployed: "
                f"{'; '.join(pending)}",
                f"Deploy or revert them, or add --deploy-pending. {DOCS}",
            )
        text = f"streamback {self.context.target.stack}: adopt undone"
        along = f"goes live with it: {'; '.join(pending)}" if pending else ""
        return [deployment_change(self.api, along, lambda: deploy(self.api, text))]

    def _before(self) -> str:
        """The deployment that the stage served before; empty when it has not all that is to be served."""
        found, deployments = records.stage(self.context.journal), self.api.rest.deployments()
        mine = deployments.get(self.api.stage.deployment) == description(self.context)
        if found is None or self.complete or not mine or found.deployment not in deployments:
            return ""
        return found.deployment

    def _serve(self, deployment: str) -> None:
        self.context.routing.serve(deployment)
        self.context.routing.renew_canary()

    def _variables(self, entity: EntityTarget) -> Iterator[AdoptionChange]:
        for name, before in self.kept[entity.name].variables.items():
            now = self.api.stage.variables.get(name, "")
            if now != before:
                act = partial(self.context.routing.set, {name: before or None})
                yield AdoptionChange(kind="variable", name=name, before=now, after=before, act=act)

    def _after_a_while(self, changes: list[AdoptionChange]) -> list[AdoptionChange]:
        """The first change after API Gateway has spread the deployment: until then a request may need the variables."""
        return [replace(changes[0], wait=self.spread), *changes[1:]] if changes else []

    def _permissions(self, entity: EntityTarget) -> Iterator[AdoptionChange]:
        needed = set(self._modern(entity.name).values()) if entity.name in self.complete else set[str]()
        for function, identifiers in self.kept[entity.name].permissions.items():
            present = {each.get("Sid"): each for each in self.api.permissions.statements(function)}
            for identifier in identifiers:
                if identifier in present and function not in needed:
                    yield AdoptionChange(
                        kind="permission",
                        name=f"{identifier} of {function}",
                        before=source_of(present[identifier]),
                        after="",
                        act=partial(self.api.permissions.remove, function, identifier),
                    )

    def _unused(self) -> list[AdoptionChange]:
        """Adopt's own deployments, but for one that a team lets another stage serve."""
        elsewhere = {each.deployment for each in self.api.rest.other_stages().values()}
        return [
            AdoptionChange(
                kind="deployment",
                name=each,
                before=description(self.context),
                after="",
                act=partial(self._delete, each),
            )
            for each in sorted(ours(self.api) - elsewhere)
        ]

    def _delete(self, deployment: str) -> None:
        if deployment != self.context.routing.stage().deployment:
            self.api.rest.delete_deployment(deployment)

    @cached_property
    def waiting(self) -> dict[str, str]:
        """The tables whose stream has a reader still, by entity, with the reader."""
        found = {each.name: self._reader(each) for each in self.entities if self.kept[each.name].stream}
        return {name: reader for name, reader in found.items() if reader}

    def _reader(self, entity: EntityTarget) -> str:
        arn = stream.latest(self.context, entity)
        if not arn:
            return ""
        mappings = self.context.clients.functions.list_event_source_mappings(EventSourceArn=arn)["EventSourceMappings"]
        return ", ".join(each.get("FunctionArn", "").rpartition(":function:")[2] for each in mappings)

    def _stream(self, entity: EntityTarget) -> Iterator[AdoptionChange]:
        if not self.kept[entity.name].stream or entity.name in self.waiting:
            return
        if view := adopted.stream_view(self.context, entity):
            yield AdoptionChange(
                kind="stream",
                name=entity.modern_table,
                before=view,
                after="off",
                act=lambda: switch_stream(self.context, entity, OFF),
            )
