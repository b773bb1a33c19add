"""The changes that `runbook adopt` and its undo make in what others have made: what they are, and how each is made."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

from functions.aws.rest_api import VARIABLE, ApiMethod, function_uri, variable_of
from runbook.aws.outputs import EntityTarget
from runbook.checks.adopted import ApiView
from runbook.errors import PreconditionError
from runbook.journal import adopted as records
from runbook.journal.lock import STEP_SECONDS, Lease, held
from runbook.stack import Context

DOCS = "See docs/adopt.md."


@dataclass(frozen=True, kw_only=True)
class AdoptionChange:
    """One call that changes something.

    Attributes:
        kind: integration, variable, permission, stream, deployment or alias.
        name: of what changes.
        before: its value; empty where it is not there.
        after: likewise.
        breaks: what it can break; empty for nothing.
        wait: seconds before it.
        act: makes the change.
    """

    kind: str
    name: str
    before: str
    after: str
    breaks: str = ""
    wait: float = 0.0
    act: Callable[[], object] = field(repr=False, compare=False)

    def document(self) -> dict[str, str]:
        return {name: getattr(self, name) for name in ("kind", "name", "before", "after", "breaks")}


@dataclass(frozen=True, kw_only=True)
class AdoptionPlan:
    """What a command would change now, and what it says beside that."""

    changes: Sequence[AdoptionChange]
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class AdoptionLook:
    """One look at what is there."""

    context: Context

    @cached_property
    def api(self) -> ApiView:
        return ApiView(self.context)

    def canary_problems(self) -> Iterator[str]:
        """A canary of others has a deployment of its own, which needs what adopt and its undo add and remove."""
        if self.context.routing.others_canary(self.api.stage):
            yield "the stage has a canary that is not streamback's: promote or remove it first"


class Leases(dict[str, Lease]):
    """The locks that a command holds, by entity, and the API's."""

    def begin(self, step: str, seconds: float) -> None:
        for lease in self.values():
            lease.begin(step, seconds)

    def check(self) -> None:
        """Nothing refuses a late change of an API; every command that makes one holds the API's lock."""
        for lease in self.values():
            lease.check()
        self[records.API].demand()


@contextmanager
def locked(context: Context, entities: Sequence[EntityTarget], command: str) -> Generator[Leases]:
    """Hold the API's lock and those of the entities, which are begun in the journal where `init` has not yet."""
    journal, operator, leases = context.journal, context.clients.operator, Leases()
    with ExitStack() as stack:
        records.begin(journal, records.API, "", command, operator)
        leases[records.API] = stack.enter_context(
            held(journal, records.API, operator, command, take_over=context.take_over)
        )
        for entity in entities:
            records.begin(journal, entity.name, entity.stream_arn, command, operator)
            leases[entity.name] = stack.enter_context(context.held(entity, command))
        yield leases


def make(context: Context, changes: Sequence[AdoptionChange], leases: Leases) -> None:
    for change in changes:
        leases.begin(change.kind, STEP_SECONDS + change.wait)
        if change.wait:
            context.say(f"giving API Gateway {change.wait:g} s to spread the deployment")
            time.sleep(change.wait)
        leases.check()
        context.say(f"{change.kind} {change.name}")
        change.act()


def note(leases: Leases, changes: Sequence[AdoptionChange]) -> None:
    """Add what was changed to the history of each entity."""
    for name, lease in leases.items():
        if name != records.API:
            lease.record("done", {"changes": [f"{each.kind} {each.name}: → {each.after}" for each in changes]})


def refuse(problems: list[str]) -> None:
    """Raise PreconditionError where there are problems, with all of them."""
    if problems:
        raise PreconditionError(f"nothing was changed: {'. '.join(problems)}", DOCS)


def integration_change(api: ApiView, key: str, method: ApiMethod, uri: str, breaks: str = "") -> AdoptionChange:
    return AdoptionChange(
        kind="integration",
        name=key,
        before=method.uri,
        after=uri,
        breaks=breaks,
        act=partial(api.rest.set_uri, key, method.resource, uri),
    )


def deployment_change(api: ApiView, breaks: str, act: Callable[[], object], after: str = "") -> AdoptionChange:
    name = api.context.target.stage_name
    return AdoptionChange(
        kind="deployment",
        name=f"stage {name}",
        before=api.stage.deployment,
        after=after or "a new one",
        breaks=breaks,
        act=act,
    )


def description(context: Context) -> str:
    """Of the deployments that adopt makes, by which it knows them again."""
    return f"streamback {context.target.stack}: adopt"


def ours(api: ApiView) -> set[str]:
    """The deployments that adopt has made."""
    return {each for each, text in api.rest.deployments().items() if text == description(api.context)}


def deploy(api: ApiView, text: str) -> None:
    """Let the stage, and its canary, serve the methods as they are now."""
    api.context.routing.serve(api.rest.create_deployment(text))
    api.context.routing.renew_canary()


def switch_stream(context: Context, entity: EntityTarget, wanted: Any) -> None:
    """Switch the table's stream, and wait until that is done."""
    dynamodb = context.clients.dynamodb
    dynamodb.update_table(TableName=entity.modern_table, StreamSpecification=wanted)
    dynamodb.get_waiter("table_exists").wait(TableName=entity.modern_table, WaiterConfig={"Delay": 1})


def undeployed(api: ApiView, entities: Iterable[EntityTarget]) -> list[str]:
    """What a deployment would change for clients, beside the integrations of these entities."""
    mine = {variable for each in entities for variable in (each.reads_variable, each.writes_variable)}
    live, served = api.live, api.deployed
    found = [f"{key} is new" for key in sorted(live.keys() - served.keys())]
    found += [f"{key} is gone" for key in sorted(served.keys() - live.keys())]
    for key in sorted(live.keys() & served.keys()):
        own = mine & {variable_of(live[key].uri), variable_of(served[key].uri)}
        if live[key].differs(served[key], uri=not own):
            found.append(f"{key} is changed")
    return found


def literal(uri: str, function: str) -> str:
    """A URI that names a function itself, in the place of one that names a stage variable."""
    found = function_uri(VARIABLE.sub("any", uri), {})
    return replace(found, name=function).text if found else uri
