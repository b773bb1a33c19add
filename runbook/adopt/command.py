"""`runbook adopt`: what has to change in an API, functions and tables that others have made, and the change itself.

Every change is computed from what is there now, so that a command that was killed is repeated, and what another tool
has overwritten is put right. The journal has the values before it, before the first change. No request fails meanwhile:
variables and permissions come before the integrations that need them, and nothing is served before the deployment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

from functions.adopted.checks import VIEW
from functions.aws import permissions as rights
from functions.aws.rest_api import ApiMethod, function_uri, is_variable
from functions.domain.contract import ApiOperation
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
    locked,
    make,
    note,
    ours,
    refuse,
    switch_stream,
    undeployed,
)
from runbook.aws.outputs import EntityTarget
from runbook.checks import adopted, routes
from runbook.cutover.steps import API_SECONDS
from runbook.errors import UsageError
from runbook.journal import adopted as records
from runbook.journal.adopted import AdoptedParts, AdoptedStage
from runbook.stack import Context

COMMAND = "adopt"
KIND = "aws_proxy"
SHORT = "A switch holds requests: keep --hold well below that"
LONG = "The gate waits 27 s for a function, and answers 503 if it takes longer"
OVERWRITTEN = "another tool that deploys the API writes its own URI again; `runbook status` shows it"


@dataclass(frozen=True)
class AdoptCommand:
    """Of some entities.

    Args:
        pending: deploy what is changed in the API and not deployed yet along.
    """

    context: Context
    entities: Sequence[EntityTarget]
    pending: bool = False

    def plan(self) -> AdoptionPlan:
        """Look; nothing changes.

        Raises:
            PreconditionError: something cannot be adopted as it is.
        """
        look = self._look()
        return AdoptionPlan(changes=look.changes(), notes=look.notes())

    def execute(self) -> AdoptionPlan:
        """Keep the values before, then change everything that `plan` names; what was changed.

        Raises:
            PreconditionError: something cannot be adopted as it is; nothing was changed.
            RefusedError: another operator holds a lock.
        """
        with locked(self.context, self.entities, COMMAND) as leases:
            look = self._look()
            changes, notes = look.changes(), look.notes()
            if changes:
                look.keep(leases)
                self._doubt_routes(leases)
            make(self.context, changes, leases)
            note(leases, changes)
        return AdoptionPlan(changes=changes, notes=notes)

    def _look(self) -> _Look:
        return _Look(self.context, self.entities, self.pending)

    def _doubt_routes(self, leases: Leases) -> None:
        """What is put right now may have let requests past the gate until now: the next switch waits for them."""
        for entity in self.entities:
            lease = leases[entity.name]
            self.context.journal.write(lease.lock, entity.name, {"gated_since": None})


@dataclass(frozen=True)
class _Look(AdoptionLook):
    """And what must change."""

    entities: Sequence[EntityTarget]
    pending: bool

    @cached_property
    def kept(self) -> Mapping[str, AdoptedParts]:
        journal = self.context.journal
        return {each.name: records.parts(journal, each.name) or AdoptedParts() for each in self.entities}

    def changes(self) -> list[AdoptionChange]:
        """In the order in which no request fails."""
        entities, target = self.entities, self.context.target
        if not target.api_adopted and not any(each.table_adopted for each in entities):
            raise UsageError("this stack adopts neither an API nor a table", f"Set streamback:adopt. {DOCS}")
        refuse(self._stream_problems())
        found = [change for each in entities for change in self._stream(each)]
        if target.api_adopted:
            refuse(list(self._problems()))
            for part in (self._aliases, self._variables, self._permissions, self._integrations):
                found += [change for each in entities for change in part(each)]
            found += self._deployment()
        return found

    def keep(self, leases: Leases) -> None:
        """Write what is there into the journal; of what is there already, the older value stays."""
        journal, api = self.context.journal, self.context.target.api_adopted
        if api:
            records.write(journal, leases[records.API], AdoptedStage(deployment=self._served_before()))
        for entity in self.entities:
            now = self._parts(entity) if api else AdoptedParts()
            now = replace(now, stream=any(True for _ in self._stream(entity)))
            records.write(journal, leases[entity.name], now.with_older(self.kept[entity.name]))

    def _parts(self, entity: EntityTarget) -> AdoptedParts:
        variables, added = self.api.stage.variables, dict[str, list[str]]()
        for function, operation in self._missing(entity):
            added.setdefault(function, []).append(rights.statement_id(entity.name, operation, self.api.arn))
        return AdoptedParts(
            uris={str(each): self.api.live[str(each)].uri for each, _ in self._literal(entity)},
            variables={name: variables.get(name, "") for name in self._unset(entity)},
            permissions=added,
            versions=adopted.aliases(self.api, entity),
        )

    def _served_before(self) -> str:
        """The deployment to return to: the one before, as long as it has all that is deployed otherwise."""
        before, served = records.stage(self.context.journal), self.api.stage.deployment
        known = before.deployment if before else served
        if not self._deploys():
            return known
        return known if served in {known, *ours(self.api)} and not self._undeployed else ""

    @cached_property
    def _undeployed(self) -> list[str]:
        return undeployed(self.api, self.entities)

    def notes(self) -> list[str]:
        """What others must know, because the plan changes nothing there."""
        return [*self._stage_notes(), *self._timeout_notes()] if self.context.target.api_adopted else []

    def _stage_notes(self) -> Iterator[str]:
        names = {name for each in self.entities for name in (each.reads_variable, each.writes_variable)}
        for stage, served in self.api.rest.other_stages().items():
            if missing := sorted(names - served.variables):
                yield (
                    f"stage {stage}: the next deployment to it needs the variables {', '.join(missing)}. Set them to "
                    "the functions that its methods call now"
                )

    def _timeout_notes(self) -> Iterator[str]:
        for entity in self.entities:
            for operation, variable in self.api.routes(entity):
                seconds = self.api.live[str(operation)].timeout
                if variable == entity.writes_variable and seconds != API_SECONDS:
                    effect = SHORT if seconds < API_SECONDS else LONG
                    yield f"{operation}: API Gateway waits {seconds:g} s for it. {effect}"

    # Problems

    def _problems(self) -> Iterator[str]:
        for entity in self.entities:
            if not any(True for _ in self.api.routes(entity)):
                yield f"{entity.name}: entities.toml has no [{entity.name}.api] with its reads and writes"
            for operation, variable in self.api.routes(entity):
                yield from self._method_problems(entity, operation, variable)
            yield from self._function_problems(entity)
        yield from self._stage_problems()

    def _method_problems(self, entity: EntityTarget, operation: ApiOperation, variable: str) -> Iterator[str]:
        method = self.api.live.get(str(operation))
        if method is None:
            only_any = f"ANY {operation.path}" in self.api.live
            found = "has only the method ANY there; add the method itself" if only_any else "has no such method"
            yield f"{operation}: the API {found}, with the same integration, and deploy it"
        elif problem := integration_problem(method):
            yield f"{operation}: {problem}"
        elif not is_variable(method.uri, variable):
            yield from self._uri_problems(entity, operation, method, variable)

    def _uri_problems(
        self, entity: EntityTarget, operation: ApiOperation, method: ApiMethod, variable: str
    ) -> Iterator[str]:
        found = function_uri(method.uri, self.api.stage.variables)
        reads = variable == entity.reads_variable
        expected = entity.legacy_read_function if reads else entity.legacy_write_function
        if found is None:
            yield f"{operation}: its integration names no Lambda function: {method.uri}"
        elif found.name not in {expected, self.api.stage.variables.get(variable)}:
            key = f"{'legacyReads' if reads else 'legacyWrites'} of {entity.name}"
            yield (
                f"{operation}: its integration names {found.name}, and {key} is {expected}; "
                f"set {key} in streamback:adopt and `pulumi up`, or correct the integration"
            )
        elif (found.region, found.account) != (place := (self.context.target.region, self.api.caller[1])):
            yield f"{operation}: {found.name} is in {found.region} {found.account}, the stack in {' '.join(place)}"

    def _function_problems(self, entity: EntityTarget) -> Iterator[str]:
        for function in dict.fromkeys(function for function, _ in self.api.callable(entity)):
            if not self.api.permissions.version(function):
                yield f"{entity.name}: there is no function {function}; correct streamback:adopt and `pulumi up`"

    def _stage_problems(self) -> Iterator[str]:
        yield from self.canary_problems()
        for entity in self.entities:
            for name in self._unset(entity):
                value = self.api.stage.variables.get(name)
                if value and name not in self.kept[entity.name].variables:
                    yield f"the stage has a variable {name} already, {value}: rename the entity in entities.toml"
        if self._undeployed and not self.pending and self._deploys():
            yield (
                f"the API has changes that are not deployed, and would be: {'; '.join(self._undeployed)}. "
                "Deploy or revert them, or add --deploy-pending"
            )

    def _stream_problems(self) -> list[str]:
        views = {each: adopted.stream_view(self.context, each) for each in self.entities if each.table_adopted}
        return [
            f"the stream of {each.modern_table} shows {view}, and the bridge needs {VIEW}; "
            "once its readers agree, switch it off and on with that view"
            for each, view in views.items()
            if view not in {"", VIEW}
        ]

    # AdoptionChanges

    def _stream(self, entity: EntityTarget) -> Iterator[AdoptionChange]:
        if entity.table_adopted and not adopted.stream_view(self.context, entity):
            wanted: Any = {"StreamEnabled": True, "StreamViewType": VIEW}
            yield AdoptionChange(
                kind="stream",
                name=entity.modern_table,
                before="off",
                after=VIEW,
                breaks="no effect on requests, no cost until it is read; run `pulumi up` then, for the bridge",
                act=lambda: switch_stream(self.context, entity, wanted),
            )

    def _aliases(self, entity: EntityTarget) -> Iterator[AdoptionChange]:
        """A version that is noted anew; the record is all that changes."""
        noted = self.kept[entity.name].versions
        for name, version in adopted.aliases(self.api, entity).items():
            if version and noted.get(name, version) != version:
                yield AdoptionChange(kind="alias", name=name, before=noted[name], after=version, act=lambda: None)

    def _unset(self, entity: EntityTarget) -> Mapping[str, str]:
        """The variables that name none of the entity's functions, with their values."""
        return self._lost[entity.name]

    @cached_property
    def _lost(self) -> Mapping[str, Mapping[str, str]]:
        return {each.name: routes.lost(self.context, each) for each in self.entities}

    def _variables(self, entity: EntityTarget) -> Iterator[AdoptionChange]:
        for name, value in self._unset(entity).items():
            yield AdoptionChange(
                kind="variable",
                name=name,
                before=self.api.stage.variables.get(name, ""),
                after=value,
                act=partial(self.context.routing.set, {name: value}),
            )

    def _missing(self, entity: EntityTarget) -> Iterator[tuple[str, ApiOperation]]:
        for function, operation in dict.fromkeys(self.api.callable(entity)):
            if not self.api.permissions.allowed(function, self.api.source(operation)):
                yield function, operation

    def _permissions(self, entity: EntityTarget) -> Iterator[AdoptionChange]:
        for function, operation in self._missing(entity):
            identifier = rights.statement_id(entity.name, operation, self.api.arn)
            source = self.api.source(operation)
            yield AdoptionChange(
                kind="permission",
                name=f"{identifier} of {function}",
                before="",
                after=source,
                act=partial(self.api.permissions.add, function, identifier, source),
            )

    def _literal(self, entity: EntityTarget) -> Iterator[tuple[ApiOperation, str]]:
        """The methods whose integration does not follow the stage variable yet."""
        for operation, variable in self.api.routes(entity):
            if not is_variable(self.api.live[str(operation)].uri, variable):
                yield operation, variable

    def _integrations(self, entity: EntityTarget) -> Iterator[AdoptionChange]:
        for operation, variable in self._literal(entity):
            method = self.api.live[str(operation)]
            if found := function_uri(method.uri, self.api.stage.variables):
                yield integration_change(self.api, str(operation), method, found.by_variable(variable), OVERWRITTEN)

    def _deploys(self) -> bool:
        """Whether the stage serves a method that does not follow its variable."""
        return any(
            not is_variable(method.uri if (method := self.api.deployed.get(str(operation))) else "", variable)
            for each in self.entities
            for operation, variable in self.api.routes(each)
        )

    def _deployment(self) -> list[AdoptionChange]:
        if not self._deploys():
            return []
        along = f"goes live with it: {'; '.join(self._undeployed)}" if self._undeployed else ""
        return [deployment_change(self.api, along, lambda: deploy(self.api, description(self.context)))]


def integration_problem(method: ApiMethod) -> str:
    """Why an integration cannot follow a stage variable, with the way round; empty when it can."""
    kind, credentials = method.kind, method.integration.get("credentials")
    if kind != KIND:
        return (
            f"its integration is {kind.upper() or 'missing'}, and only AWS_PROXY to Lambda can be adopted; "
            "put a function that does the same in its place, and adopt that"
        )
    if credentials:
        return (
            f"its integration calls the function with the role {credentials}, which may not call the gate; remove the "
            "credentials, and give API Gateway the permission instead"
        )
    return ""
