"""`runbook status`: phase, routes, fence, bridge, record counts and lag of each entity.

Changes nothing. What a system that does not answer knows is unknown, and the rest is reported all the same.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from queue import Empty, Queue
from typing import TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from functions.aws.mysql_errors import DataApiError
from functions.domain import names
from functions.domain.entities import Entity
from functions.domain.phase import Phase
from functions.install.control_row import NO_EPOCH, Control
from functions.install.read_only import removal
from runbook.aws.api_gateway import Routes, reads_side
from runbook.aws.aurora import RecordCount
from runbook.aws.outputs import EntityTarget
from runbook.checks import adopted, copy, plans, triggers
from runbook.checks import bridge as health
from runbook.checks.check import Check, green
from runbook.checks.plans import CheckScope
from runbook.checks.routes import expected_writes
from runbook.errors import FailedError, RunbookError
from runbook.journal.state import State
from runbook.stack import Context

Answer = TypeVar("Answer")
SMALL_ANSWER_SECONDS = 8.0  # for an answer that takes a moment, unless Aurora hangs: the Data API waits for 45
AURORA_TIMEOUT_SECONDS = 2.0  # for an Aurora that does not answer, because no operator should wait for `status`
MOST_PAGES = 20  # of 1 MB each: a larger table is not scanned only to be counted, unless --exact asks for it


@dataclass(frozen=True, kw_only=True)
class EntityStatus:
    """Where one entity stands.

    Attributes:
        state: None before `runbook init`.
        agree: whether the public endpoint goes where the journal says.
        legacy: None where the side is not deployed, or its count is unknown.
        modern: likewise.
        lag: seconds at most, in the last five minutes; None for no record.
        fenced: whether legacy's writers are stopped in Aurora; None where there is no fence, or it is unknown.
        connected: whether the bridge applies the stream; None where there is no bridge, or it is unknown.
        read_only: whether the legacy table refuses every write, once the entity is complete; None before.
        writable_by: one line of SQL that lets writers in again.
        schedules: whether the schedules of copy's lanes are enabled while copy runs, and only then; None where there
            are none, or it is unknown.
        adoption: whether what `runbook adopt` has changed is still so; none where nothing is adopted.
        unknown: what is not known, with the reason: of legacy, modern, fence, bridge, schedules, adoption and lag.
    """

    entity: str
    state: State | None
    routes: Routes
    agree: bool
    bridge: Sequence[Check]
    legacy: RecordCount | None
    modern: RecordCount | None
    lag: float | None
    fenced: bool | None = None
    connected: bool | None = None
    read_only: bool | None = None
    writable_by: str = ""
    schedules: Check | None = None
    adoption: Sequence[Check] = ()
    unknown: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def healthy(self) -> bool | None:
        """Whether every check of the bridge holds; None where there is no bridge, or its checks could not be made."""
        if not self.bridge:
            return None
        return green(self.bridge)


def run(context: Context, entity: EntityTarget, *, send_heartbeat: bool, exact: bool) -> EntityStatus:
    """Look at one entity; `exact` counts tables of any size."""
    state = context.journal.find(entity.name)
    routes = context.routing.routes(entity)
    described = context.target.mapping[entity.name]
    bridged = bool(entity.bridge_mapping_id) and not (state and state.phase == Phase.COMPLETE)
    rows = bool(state and context.target.cluster_arn)
    ask = Questions()
    bridge = (
        ask("bridge", lambda: plans.checks(context, entity, CheckScope.BRIDGE, send_heartbeat=send_heartbeat))
        if bridged
        else []
    )
    control = ask("fence", lambda: _soon(lambda: _control(context, described))) if rows and bridged else None
    refusing = ask("read_only", lambda: _refusing(context, described)) if rows and _is_complete(state) else None
    legacy = modern = None
    if rows and "fence" in ask.unknown:
        ask.unknown["legacy"] = ask.unknown["fence"]  # the same Aurora: it need not be waited for twice
    elif rows:
        timeout = AURORA_TIMEOUT_SECONDS
        legacy = ask("legacy", lambda: context.aurora.count(described, exact=exact, timeout=timeout))
    if entity.modern_table:
        modern = ask("modern", lambda: _modern_count(context, entity, exact=exact))
    return EntityStatus(
        entity=entity.name,
        state=state,
        routes=routes,
        agree=state is None or not adopted.followed(context, entity) or _agree(state, routes),
        bridge=bridge or [],
        legacy=legacy,
        modern=modern,
        lag=ask("lag", lambda: health.lag_seconds(context, entity)) if bridged else None,
        fenced=control.fenced if control else None,
        connected=control.connected if control else None,
        read_only=None if refusing is None else bool(refusing),
        writable_by=removal(described, refusing or []),
        adoption=ask("adoption", lambda: _adoption(context, entity, state)) or (),
        schedules=_first(ask("schedules", lambda: copy.schedules(context, entity))) if state else None,
        unknown=ask.unknown,
    )


def _adoption(context: Context, entity: EntityTarget, state: State | None) -> list[Check]:
    """Streamback's triggers must be there once copy was started."""
    under_way = state is not None and state.phase != Phase.COMPLETE
    captured = under_way and context.journal.find_record(entity.name, names.COPY_RECORD) is not None
    return adopted.status(context, entity, state, captured=captured)


def _is_complete(state: State | None) -> bool:
    return state is not None and state.phase == Phase.COMPLETE


def _first(checks: Sequence[Check] | None) -> Check | None:
    return next(iter(checks or ()), None)


def _refusing(context: Context, entity: Entity) -> list[str]:
    return _soon(lambda: triggers.refusing(context.aurora, entity, AURORA_TIMEOUT_SECONDS))


class Questions:
    """Asks systems that may not answer; keeps the reasons by the names of the questions."""

    def __init__(self) -> None:
        self.unknown: dict[str, str] = {}

    def __call__(self, name: str, question: Callable[[], Answer]) -> Answer | None:
        """The answer; None when there is none."""
        try:
            return question()
        except RunbookError as error:
            self.unknown[name] = error.message
        except (BotoCoreError, ClientError, DataApiError) as error:
            self.unknown[name] = str(error)
        return None


def _soon(question: Callable[[], Answer]) -> Answer:
    """The answer to a small question; a call that hangs is left behind.

    Raises:
        FailedError: there is none in time.
    """
    answers: Queue[Answer | Exception] = Queue()

    def ask() -> None:
        try:
            answers.put(question())
        except Exception as error:  # noqa: BLE001  # raised below, by the caller
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=SMALL_ANSWER_SECONDS)
    except Empty:
        raise FailedError(f"Aurora has not answered within {SMALL_ANSWER_SECONDS:.0f} s") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _control(context: Context, entity: Entity) -> Control:
    """Fence and bridge as Aurora has them; waits for a short failure, not for an Aurora that wakes."""
    control = context.aurora.find_control(entity, timeout=AURORA_TIMEOUT_SECONDS)
    return control or Control(fenced=False, epoch=NO_EPOCH, last_epoch=NO_EPOCH)


def _agree(state: State, routes: Routes) -> bool:
    writes = routes.writes == expected_writes(state) or state.operation is not None
    return routes.reads == reads_side(state.reads) and writes


def _modern_count(context: Context, entity: EntityTarget, *, exact: bool) -> RecordCount:
    """The table's items without the heartbeat's."""
    client = context.clients.dynamodb
    pages = client.get_paginator("scan").paginate(
        TableName=entity.modern_table,
        Select="COUNT",
        FilterExpression="attribute_not_exists(#heartbeat)",
        ExpressionAttributeNames={"#heartbeat": names.HEARTBEAT_ATTRIBUTE},
    )
    count = 0
    for number, page in enumerate(pages, start=1):
        count += page["Count"]
        if number == MOST_PAGES and not exact and page.get("LastEvaluatedKey"):
            estimate = client.describe_table(TableName=entity.modern_table)["Table"].get("ItemCount", 0)
            return RecordCount(records=max(estimate, count), exact=False)  # AWS renews its own count every six hours
    return RecordCount(records=count, exact=True)
