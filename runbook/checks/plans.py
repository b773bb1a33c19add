"""Which checks are made when: the one registry of checks, with the scopes that each belongs to.

To add a check: write a function that returns a `Check` into the module of the place that it looks at. In server, table,
keys, columns, sizes and deployment, add it to that module's `checks`, which preflight and `copy start` make. For every
other module add a line to REGISTRY at the end of this file. docs/preflight.md has the reason of each check.

Preflight reads the control planes and Aurora's dictionary. Of the table it reads both ends of the primary index and a
bounded sample.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property

from functions.domain import names
from functions.domain.entities import Entity
from functions.domain.phase import Phase
from runbook.aws.aurora import Aurora
from runbook.aws.outputs import EntityTarget
from runbook.checks import (
    adopted,
    bridge,
    columns,
    copy,
    deployment,
    heartbeat,
    keys,
    quotas,
    routes,
    schema,
    server,
    sizes,
    stream,
    table,
    triggers,
)
from runbook.checks.check import Check, green
from runbook.checks.schema import Facts
from runbook.journal.state import State
from runbook.stack import Context


class CheckScope(StrEnum):
    PREFLIGHT = "preflight"
    COPY = "copy start"
    CUTOVER = "cutover, reads or writes, while legacy is the source of truth"
    CUTOVER_ROUTES = "cutover after that: only routes change"
    ROLLBACK = "rollback of writes, while modern is the source of truth"
    ROLLBACK_ROUTES = "rollback that changes only routes and still needs the bridge"
    ROLLBACK_ALONE = "rollback that does without the bridge: --force, or reads while legacy is the source of truth"
    COMPLETE = "complete"
    REPAIR = "verify --repair: the bridge, but not what it has quarantined"
    BRIDGE = "the bridge alone: status, and again while complete drains"


EVERY = frozenset(CheckScope)
PREPARE = frozenset({CheckScope.PREFLIGHT, CheckScope.COPY})
FORWARD = frozenset({CheckScope.CUTOVER, CheckScope.CUTOVER_ROUTES})
SWITCH = EVERY - PREPARE - {CheckScope.COMPLETE, CheckScope.REPAIR, CheckScope.BRIDGE}
ROLLBACKS = frozenset({CheckScope.ROLLBACK, CheckScope.ROLLBACK_ROUTES, CheckScope.ROLLBACK_ALONE})
CALLS_ADOPTED = SWITCH | PREPARE | {CheckScope.COMPLETE}  # what an adopted API calls must be as it was adopted
MOVES_WRITERS = frozenset({CheckScope.CUTOVER, CheckScope.ROLLBACK})


@dataclass(frozen=True)
class Subject:
    """The entity that is checked, and what several checks read of it, once.

    Attributes:
        state: in the journal; None when it is not there.
        timeout: seconds that the heartbeat may take.
        quick: leave out the sample of rows.
        heartbeat: whether to send one.
        reads_wanted: modern's percentage that a switch of writes alone expects; None where it expects none.
        reads_stay: whether the operator accepts another one.
    """

    context: Context
    entity: EntityTarget
    scope: CheckScope
    state: State | None
    timeout: float
    quick: bool
    heartbeat: bool
    reads_wanted: int | None = None
    reads_stay: bool = False

    @cached_property
    def phase(self) -> list[Check]:
        if self.scope in PREPARE:
            return [routes.known(self.state)]
        if self.state is None:
            return []
        if self.scope == CheckScope.COMPLETE:
            return [routes.modern(self.entity, self.state)]
        return [routes.not_complete(self.entity, self.state)] if self.scope in SWITCH else []

    @property
    def ends(self) -> bool:
        """Whether the phase leaves nothing else to check: complete, or not yet ready to be completed."""
        if self.scope == CheckScope.COMPLETE:
            return not green(self.phase)
        return self.scope in PREPARE and self.state is not None and self.state.phase == Phase.COMPLETE

    @property
    def reads(self) -> int:
        """Modern's percentage by the journal."""
        return self.state.reads if self.state else 0

    @property
    def bridged(self) -> bool:
        return bridge.deployed(self.context.target, self.entity)

    @cached_property
    def mapping(self) -> list[Check]:
        return bridge.mapping(self.context, self.entity)

    @cached_property
    def present(self) -> State | None:
        """The state in the journal, for scopes that are not given it."""
        return self.state or self.context.journal.find(self.entity.name)

    @property
    def follows(self) -> bool:
        """Whether Aurora has to follow the stream: always, but for a rollback without the bridge in phase legacy."""
        if not self.bridged or self.present is None:
            return False
        return self.scope not in ROLLBACKS or self.present.phase == Phase.MODERN

    @cached_property
    def adopted(self) -> list[Check]:
        """Made before the mapping's checks: while the stream is off, no remedy of theirs helps."""
        return [stream.adopted(self.context, self.entity, self.present)] if self.present else []

    @cached_property
    def quarantined(self) -> list[Check]:
        return bridge.quarantined(self.context, self.entity)

    @property
    def sendable(self) -> bool:
        """Whether a heartbeat would travel; `status` sends it in any case."""
        if self.scope == CheckScope.BRIDGE:
            return True
        return (
            green(self.adopted) and green(self.mapping) and (self.scope == CheckScope.REPAIR or green(self.quarantined))
        )

    @cached_property
    def cluster(self) -> list[Check]:
        return server.database(self.context.clients, self.context.aurora, self.context.target)

    @property
    def data_api(self) -> bool:
        """Whether statements reach the database, by the Data API or by the function in its network."""
        return bool(self.cluster[-1].ok)

    @property
    def way(self) -> str:
        return "a connection to the database" if self.context.target.statement_function else "the Data API"

    @property
    def described(self) -> Entity:
        return self.context.target.mapping[self.entity.name]

    @cached_property
    def facts(self) -> Facts:
        return schema.read(self.context.aurora, self.described)

    @cached_property
    def prepared(self) -> bool:
        """Whether `runbook init` has made streamback's own tables."""
        return self.data_api and self.facts.table is not None and names.CONTROL_TABLE in self.facts.helpers

    @property
    def captured(self) -> bool:
        """Whether streamback's triggers must be there: before a switch, and once copy was started."""
        if self.scope not in PREPARE:
            return self.bridged
        started = self.state and self.context.journal.find_record(self.entity.name, names.COPY_RECORD)
        return self.prepared and bool(started)


def checks(  # noqa: PLR0913  # what the commands are asked
    context: Context,
    entity: EntityTarget,
    scope: CheckScope,
    state: State | None = None,
    *,
    timeout: float = heartbeat.TIMEOUT,
    quick: bool = False,
    send_heartbeat: bool = True,
    reads_wanted: int | None = None,
    reads_stay: bool = False,
) -> list[Check]:
    """Every check of one entity in a scope, in the registry's order.

    Args:
        entity: what is checked.
        scope: when.
        state: in the journal, or as it will be once an interrupted operation was resumed.
        timeout: seconds that the heartbeat may take.
        quick: leave out the sample of rows.
        send_heartbeat: whether to send one, where the scope has it.
        reads_wanted: modern's percentage of reads that a switch of writes alone expects; None where it expects none.
        reads_stay: whether the operator accepts another one.
    """
    if state is None and scope in PREPARE:
        state = context.journal.find(entity.name)
    subject = Subject(context, entity, scope, state, timeout, quick, send_heartbeat, reads_wanted, reads_stay)
    found = list(subject.phase)
    if not subject.ends:
        for line in REGISTRY:
            if scope in line.scopes and line.needs(subject):
                found += line.make(subject)
    return found


def switch_scope(state: State, *, forward: bool, reads_only: bool, force: bool) -> CheckScope:
    legacy = state.phase == Phase.LEGACY
    if force or (not forward and reads_only and legacy):
        return CheckScope.ROLLBACK_ALONE
    if forward:
        return CheckScope.CUTOVER if legacy else CheckScope.CUTOVER_ROUTES
    moves_writes = not reads_only and state.phase == Phase.MODERN
    return CheckScope.ROLLBACK if moves_writes else CheckScope.ROLLBACK_ROUTES


@dataclass(frozen=True)
class RegistryLine:
    """A line of the registry.

    Attributes:
        make: makes the checks.
        scopes: when they are made.
        needs: without it they are left out.
    """

    make: Callable[[Subject], Sequence[Check]]
    scopes: Collection[CheckScope]
    needs: Callable[[Subject], bool] = lambda _: True


def _legacy(subject: Subject) -> list[Check]:
    context, facts = subject.context, subject.facts
    found = server.checks(server.read(context.aurora), facts, sandbox=context.target.endpoint_url is not None)
    if facts.table is None:
        return [*found, table.exists(facts), _unmade("the legacy table")]
    found += [*table.checks(facts), *keys.checks(context.aurora, facts), *columns.checks(facts)]
    found += [] if subject.quick else _sizes(context, facts)
    if context.target.bridge_secret_arn:
        as_bridge = replace(context.aurora, master_secret_arn=context.target.bridge_secret_arn)
        found.append(server.bridge(as_bridge, facts.entity))
    return [*found, deployment.fence(context, facts.entity, subject.state)] if subject.prepared else found


def _sizes(context: Context, facts: Facts) -> list[Check]:
    if facts.key is None:
        return [_unmade("the primary key")]
    context.say(f"checking the sizes of {facts.entity.name}'s rows")
    return sizes.checks(context.aurora, facts)


def _deployment(subject: Subject) -> list[Check]:
    return deployment.checks(subject.context, subject.entity, subject.state)


def _writes_route(subject: Subject) -> list[Check]:
    return [routes.writes(subject.context, subject.entity, subject.state)] if subject.state else []


def _adopted_stream(subject: Subject) -> list[Check]:
    return adopted.table_stream(subject.context, subject.entity)


def _adopted_aliases(subject: Subject) -> list[Check]:
    return adopted.versions(subject.context, subject.entity)


def _unmade(before: str) -> Check:
    return Check(name="the rest", ok=None, value=f"not checked without {before}", limit="checked")


def _triggers(make: Callable[[Aurora, Entity], Check]) -> Callable[[Subject], list[Check]]:
    return lambda subject: [make(subject.context.aurora, subject.described)]


def _heartbeat(subject: Subject) -> list[Check]:
    if not subject.sendable:
        return [heartbeat.not_sent(subject.timeout)]
    return [heartbeat.check(subject.context, subject.entity, subject.timeout)]


def _new_stream(subject: Subject) -> list[Check]:
    return stream.verified(subject.context, subject.entity, subject.present) if subject.present else []


def _reads_beside(subject: Subject) -> list[Check]:
    if subject.reads_wanted is None or subject.state is None:
        return []
    wanted, stay = subject.reads_wanted, subject.reads_stay
    return [routes.reads_beside(subject.context, subject.entity, subject.state, wanted, stay=stay)]


REGISTRY = (
    RegistryLine(lambda s: routes.all_modern(s.context, s.entity, s.reads), {CheckScope.COMPLETE}),
    RegistryLine(_writes_route, {CheckScope.PREFLIGHT}, lambda s: adopted.followed(s.context, s.entity)),
    RegistryLine(_adopted_stream, {CheckScope.PREFLIGHT}),
    RegistryLine(lambda s: adopted.routes(s.context, s.entity), CALLS_ADOPTED, lambda s: s.context.target.api_adopted),
    RegistryLine(_adopted_aliases, CALLS_ADOPTED - ROLLBACKS, lambda s: s.context.target.api_adopted),
    RegistryLine(lambda s: s.cluster, PREPARE),
    RegistryLine(_legacy, PREPARE, lambda s: s.data_api),
    RegistryLine(lambda s: s.adopted, EVERY - PREPARE, lambda s: s.follows),
    RegistryLine(_new_stream, EVERY - FORWARD - {CheckScope.COPY, CheckScope.REPAIR}, lambda s: s.follows),
    RegistryLine(lambda s: s.mapping, EVERY - {CheckScope.ROLLBACK_ALONE}),
    RegistryLine(lambda s: s.quarantined, EVERY - {CheckScope.ROLLBACK_ALONE, CheckScope.REPAIR}),
    RegistryLine(lambda s: [_unmade(s.way)], PREPARE, lambda s: not s.data_api),
    RegistryLine(_deployment, PREPARE, lambda s: s.data_api and s.bridged),
    RegistryLine(lambda s: [routes.answers(s.context, s.entity, to_modern=s.scope in FORWARD)], SWITCH),
    RegistryLine(_reads_beside, SWITCH),
    RegistryLine(lambda s: copy.schedules(s.context, s.entity), {CheckScope.PREFLIGHT}, lambda s: s.bridged),
    RegistryLine(lambda s: quotas.checks(s.context, s.entity), PREPARE, lambda s: s.bridged),
    RegistryLine(_triggers(triggers.installed), MOVES_WRITERS | {CheckScope.PREFLIGHT}, lambda s: s.captured),
    RegistryLine(_triggers(triggers.procedure), MOVES_WRITERS | PREPARE, lambda s: s.captured),
    RegistryLine(lambda s: copy.checks(s.context, s.entity), {CheckScope.CUTOVER}, lambda s: s.bridged),
    RegistryLine(lambda s: [copy.queue_empty(s.context, s.entity)], {CheckScope.COMPLETE}),
    RegistryLine(_heartbeat, EVERY - PREPARE - {CheckScope.ROLLBACK_ALONE}, lambda s: s.bridged and s.heartbeat),
)
