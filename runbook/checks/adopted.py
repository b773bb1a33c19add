"""Whether what `runbook adopt` has changed is still so: another tool may have deployed over it.

`read` looks once; the command's plan and the checks both use what it found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from functions.adopted import checks
from functions.adopted.checks import VIEW, EntityFunctions
from functions.aws import permissions as rights
from functions.aws.permissions import Permissions
from functions.aws.rest_api import ApiMethod
from functions.domain.contract import ApiContract, ApiOperation
from functions.domain.phase import Phase
from runbook.aws.api_stage import Stage
from runbook.aws.outputs import EntityTarget
from runbook.aws.rest_api import ApiDefinition
from runbook.checks import triggers
from runbook.checks.check import Check
from runbook.journal import adopted as records
from runbook.journal.state import State
from runbook.stack import Context

REMEDY = "Run `runbook adopt --entity {entity} --execute`, which puts it right."
SHOWN = 3  # methods that a check's value names


@dataclass(frozen=True)
class ApiView:
    """The API of a stack that adopts one, as it is at this moment."""

    context: Context

    @cached_property
    def rest(self) -> ApiDefinition:
        return ApiDefinition(self.context.clients.apigateway, self.context.target)

    @cached_property
    def live(self) -> Mapping[str, ApiMethod]:
        """The methods as the next deployment would serve them."""
        return self.rest.methods()

    @cached_property
    def deployed(self) -> Mapping[str, ApiMethod]:
        """The methods as the stage serves them."""
        return self.rest.deployed()

    @cached_property
    def stage(self) -> Stage:
        return self.context.routing.stage()

    @cached_property
    def caller(self) -> tuple[str, str]:
        """Partition and account."""
        _, partition, _, _, account, _ = self.context.clients.sts.get_caller_identity()["Arn"].split(":", 5)
        return partition, account

    @property
    def arn(self) -> str:
        """Of the stage, as a permission's source begins."""
        target, (partition, account) = self.context.target, self.caller
        return f"arn:{partition}:execute-api:{target.region}:{account}:{target.api_id}/{target.stage_name}"

    @cached_property
    def permissions(self) -> Permissions:
        return Permissions(self.context.clients.functions, self.caller[1])

    def routes(self, entity: EntityTarget) -> Iterator[tuple[ApiOperation, str]]:
        """The entity's methods, each with the stage variable that names its function."""
        return checks.routes(entity.name, self.contract(entity))

    def callable(self, entity: EntityTarget) -> Iterator[tuple[str, ApiOperation]]:
        """The functions that API Gateway must be able to call, each with a method."""
        return checks.calls(self.contract(entity), self.functions(entity))

    def functions(self, entity: EntityTarget) -> EntityFunctions:
        readers = (entity.legacy_read_function, entity.read_function)
        writers = (entity.legacy_write_function, entity.write_function, self.context.target.gate_function)
        return EntityFunctions(reads=tuple(filter(None, readers)), writes=tuple(filter(None, writers)))

    def contract(self, entity: EntityTarget) -> ApiContract:
        return self.context.target.mapping[entity.name].contract or ApiContract(reads=(), writes=(), calls={})

    def source(self, operation: ApiOperation) -> str:
        return rights.source_arn(self.arn, operation)


def followed(context: Context, entity: EntityTarget) -> bool:
    """Whether public traffic follows the stage variables: not before `adopt`, nor after its undo."""
    if not context.target.api_adopted:
        return True
    return records.stage(context.journal) is not None and records.parts(context.journal, entity.name) is not None


def routes(context: Context, entity: EntityTarget) -> list[Check]:
    """Before every switch: each method's integration follows its stage variable, and may call the functions."""
    api = ApiView(context)
    return [_integrations(api, entity), _permissions(api, entity), _canary(api)]


def _canary(api: ApiView) -> Check:
    """A canary serves a deployment of its own to its share of requests, whatever the stage's variables say."""
    canary = api.stage.canary
    others = canary is not None and api.context.routing.others_canary(api.stage)
    return Check(
        name="adopted stage's canary",
        ok=not others,
        value=f"{canary.percent:g}% of requests, not streamback's" if canary and others else "none of others",
        limit="none of others",
        remedy="Promote or remove it: an API has one canary, and its deployment may call other functions.",
    )


def _integrations(api: ApiView, entity: EntityTarget) -> Check:
    wanted, variables = list(api.routes(entity)), api.stage.variables
    found = {
        key: f"{function} with the next deployment"
        for key, function in checks.integrations(wanted, api.live, variables).items()
    }
    found |= checks.integrations(wanted, api.deployed, variables)
    wrong = [f"{operation} → {found[str(operation)]}" for operation, _ in wanted if str(operation) in found]
    return _check(entity, "adopted integrations", wrong, "each names its stage variable")


def _permissions(api: ApiView, entity: EntityTarget) -> Check:
    wrong = checks.permissions(api.callable(entity), api.permissions, api.arn)
    return _check(entity, "adopted permissions", wrong, "API Gateway may call every function")


def versions(context: Context, entity: EntityTarget) -> list[Check]:
    """Not before a rollback, which must not wait for an alias that the team has moved on purpose."""
    noted = records.parts(context.journal, entity.name)
    if noted is None:
        return []
    now = aliases(ApiView(context), entity)
    found = _check(entity, "adopted aliases", checks.versions(noted.versions, now), "the versions that were noted")
    return [found] if now else []


def aliases(api: ApiView, entity: EntityTarget) -> dict[str, str]:
    """The versions that the entity's functions have now, of those that callers name by an alias."""
    return checks.aliases(api.functions(entity).every, api.permissions)


def table_stream(context: Context, entity: EntityTarget) -> list[Check]:
    """For preflight and `status`: an adopted table's stream is on, with both images."""
    if not entity.table_adopted:
        return []
    wrong = checks.stream(stream_view(context, entity))
    return [_check(entity, "adopted table's stream", wrong, f"on, {VIEW}")]


def stream_view(context: Context, entity: EntityTarget) -> str:
    """What the table's stream shows; empty while it is off."""
    return checks.stream_view(context.clients.dynamodb, entity.modern_table)


def status(context: Context, entity: EntityTarget, state: State | None, *, captured: bool) -> list[Check]:
    """Everything that another tool may have changed.

    Args:
        captured: whether streamback's triggers must be there.
    """
    complete = state is not None and state.phase == Phase.COMPLETE
    if complete and not followed(context, entity):
        return []  # `runbook adopt undo` came after `complete`
    found = [] if complete else table_stream(context, entity)
    if context.target.api_adopted:
        found += [*routes(context, entity), *versions(context, entity)]
    if captured and found:
        found.append(triggers.installed(context.aurora, context.target.mapping[entity.name]))
    return found


def _check(entity: EntityTarget, name: str, wrong: list[str], limit: str) -> Check:
    more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
    value = f"{', '.join(wrong[:SHOWN])}{more}" if wrong else "as adopted"
    return Check(name=name, ok=not wrong, value=value, limit=limit, remedy=REMEDY.format(entity=entity.name))
