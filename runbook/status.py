"""`runbook status`: where each entity stands: phase, routes, fence, bridge, counts of both sides, lag.

It changes nothing. What a system that does not answer would tell is unknown, and the rest is told all the same.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from queue import Empty, Queue
from typing import TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from functions.aws.mysql_errors import DataApiError
from functions.domain import names
from runbook.aws import aurora
from runbook.aws.api_gateway import Routes, Side, reads_side
from runbook.aws.outputs import EntityTarget
from runbook.checks import bridge as health
from runbook.checks import plans
from runbook.checks.check import Check, green
from runbook.checks.plans import CheckScope
from runbook.errors import FailedError, RunbookError
from runbook.journal.journal import Phase, State
from runbook.stack import Context

Answer = TypeVar("Answer")
LATE = 8.0  # seconds for an answer that takes a moment, unless Aurora hangs; the Data API itself gives up after 45
PATIENCE = 2.0  # seconds with an Aurora that does not answer: a command to look with must not make anybody wait
PAGES = 20  # of 1 MB each: a table larger than that is not scanned only to be counted, unless --exact asks for it
ROWS = 1_000_000  # likewise for Aurora, by InnoDB's own estimate


@dataclass(frozen=True, kw_only=True)
class Count:
    """How many records a side has.

    `exact` is False where the size forbids counting and the system's estimate is shown.
    """

    records: int
    exact: bool


@dataclass(frozen=True, kw_only=True)
class Status:
    """Where one entity stands.

    Attributes:
        state: None before `runbook init`.
        legacy: None where the side is not deployed, or its count is unknown.
        modern: likewise.
        fenced: whether legacy's writers are stopped in Aurora; None where there is no fence, or it is unknown.
        unknown: what could not be told, with the reason: of legacy, modern, fence, bridge and lag.
    """

    entity: str
    state: State | None
    routes: Routes
    agree: bool
    bridge: Sequence[Check]
    legacy: Count | None
    modern: Count | None
    lag: float | None
    fenced: bool | None = None
    unknown: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def healthy(self) -> bool | None:
        """Whether every check of the bridge holds; None where there is no bridge, or its checks could not be made."""
        if not self.bridge:
            return None
        return green(self.bridge)


def run(context: Context, entity: EntityTarget, *, send_probe: bool, exact: bool) -> Status:
    """Look at one entity.

    `send_probe` also sends a probe through the bridge, `exact` counts tables of any size.
    """
    state = context.journal.find(entity.name)
    routes = context.routing.routes(entity)
    bridged = bool(entity.bridge_mapping_id) and not (state and state.phase == Phase.COMPLETE)
    rows = bool(state and context.target.cluster_arn)
    asked = Asked()
    bridge = asked.of("bridge", lambda: _bridge(context, entity, send_probe=send_probe)) if bridged else []
    fenced = asked.of("fence", lambda: _soon(lambda: _fenced(context, entity))) if rows and bridged else None
    legacy = None
    if rows and "fence" in asked.unknown:
        asked.unknown["legacy"] = asked.unknown["fence"]  # the same Aurora: it need not be waited for twice
    elif rows:
        legacy = asked.of("legacy", lambda: legacy_count(context, entity, exact=exact, patience=PATIENCE))
    modern = None
    if entity.modern_table:
        modern = asked.of("modern", lambda: _modern_count(context, entity, exact=exact))
    lag = asked.of("lag", lambda: health.lag_seconds(context, entity)) if bridged else None
    return Status(
        entity=entity.name,
        state=state,
        routes=routes,
        agree=state is None or _agree(state, routes),
        bridge=bridge or [],
        legacy=legacy,
        modern=modern,
        lag=lag,
        fenced=fenced,
        unknown=asked.unknown,
    )


class Asked:
    """Questions that may stay without an answer; why they did is kept by their names."""

    def __init__(self) -> None:
        self.unknown: dict[str, str] = {}

    def of(self, name: str, question: Callable[[], Answer]) -> Answer | None:
        """The answer; None when there is none."""
        try:
            return question()
        except RunbookError as error:
            self.unknown[name] = error.message
        except (BotoCoreError, ClientError, DataApiError) as error:
            self.unknown[name] = str(error)
        return None


def _bridge(context: Context, entity: EntityTarget, *, send_probe: bool) -> list[Check]:
    return plans.checks(context, entity, CheckScope.BRIDGE, send_heartbeat=send_probe)


def _soon(question: Callable[[], Answer]) -> Answer:
    """The answer to a small question; a call that hangs is left behind.

    Raises:
        FailedError: there is none in time.
    """
    answers: Queue[Answer | Exception] = Queue()

    def ask() -> None:
        try:
            answers.put(question())
        except Exception as error:  # noqa: BLE001  # raised below, by whoever waits
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=LATE)
    except Empty:
        raise FailedError(f"Aurora has not answered within {LATE:.0f} s") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _fenced(context: Context, entity: EntityTarget) -> bool:
    """Whether the fence is up; asked patiently enough for a hiccup, not for an Aurora that wakes."""
    control = context.aurora.find_control(context.target.mapping[entity.name], patience=PATIENCE)
    return control is not None and control.fenced


def _agree(state: State, routes: Routes) -> bool:
    """Whether the public endpoint goes where the journal says."""
    writes = Side.MODERN if state.phase in {Phase.MODERN, Phase.COMPLETE} else Side.LEGACY
    return routes.reads == reads_side(state.reads) and (routes.writes == writes or state.operation is not None)


def legacy_count(context: Context, entity: EntityTarget, *, exact: bool, patience: float = aurora.PATIENCE) -> Count:
    """The rows of the legacy table; an estimate where there are too many to count, unless `exact`."""
    table = context.target.mapping[entity.name].legacy
    if not exact:
        estimate = context.aurora.query(
            table.database,
            "SELECT table_rows FROM information_schema.tables WHERE table_schema = :schema AND table_name = :name",
            {"schema": table.database, "name": table.table},
            patience=patience,
        )
        if estimate and int(estimate[0][0] or 0) > ROWS:
            return Count(records=int(estimate[0][0]), exact=False)
    name = f"`{table.database}`.`{table.table}`"  # both checked to be plain names when the mapping was read
    count = f"SELECT COUNT(*) FROM {name}"  # noqa: S608  # see above
    rows = context.aurora.query(table.database, count, patience=patience)
    return Count(records=int(rows[0][0]), exact=True)


def _modern_count(context: Context, entity: EntityTarget, *, exact: bool) -> Count:
    """The table's items without the probe's."""
    client = context.clients.dynamodb
    pages = client.get_paginator("scan").paginate(
        TableName=entity.modern_table,
        Select="COUNT",
        FilterExpression="attribute_not_exists(#probe)",
        ExpressionAttributeNames={"#probe": names.PROBE_ATTRIBUTE},
    )
    count = 0
    for number, page in enumerate(pages, start=1):
        count += page["Count"]
        if number == PAGES and not exact and page.get("LastEvaluatedKey"):
            estimate = client.describe_table(TableName=entity.modern_table)["Table"].get("ItemCount", 0)
            return Count(records=max(estimate, count), exact=False)  # AWS renews its own count every six hours
    return Count(records=count, exact=True)
